# Of laurel's events the connects to a runtime's socket; among them come lines in which it tells of itself.
fromjson?
| select(.SYSCALL.syscall == 42 and .SYSCALL.arch == "0xc000003e")
| select(any(.SOCKADDR[]?.saddr; endswith("docker.sock%00") or endswith("containerd.sock%00")))
