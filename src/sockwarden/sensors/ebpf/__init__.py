"""Live accesses from BPF programs in the kernel, loaded with libbpf.

ladder     which programs are taken, and why not better ones     machine      what a machine must have for any
libbpf     the library bound: objects, programs, links           maps         maps and ring buffers
kernelfs   tracefs and securityfs, also where not mounted        tracepoint   tracepoints as perf events
elf        sections and symbols of the object                    btf          its types
"""
