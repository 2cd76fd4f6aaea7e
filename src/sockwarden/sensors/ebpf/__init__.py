"""Live accesses from BPF programs in the kernel, loaded with libbpf.

libbpf   the library bound: objects, programs, links     maps      maps and ring buffers
elf      symbols and sections of the object              tracefs   tracepoints attached without a mounted tracefs
"""
