"""Live accesses from BPF programs in the kernel, loaded with libbpf.

sensor      the programs in place, and what they tell               records      what that looks like
document    an access as a document                                 identities   sockets as the programs know them
lookup      which file a name leads to                              blind        what a rung does not see
ladder      which programs are taken, and why not better ones       machine      what a machine must have for any
objects     a BPF object: its programs, their links                 maps         its maps and ring buffers
libbpf      the library: functions, log, refusals                   tracepoint   tracepoints as perf events
kernelfs    tracefs and securityfs, also where not mounted          elf, btf     the object's sections and types
streams     what passes over connections to watched sockets
programs/   what runs in the kernel, and the object built from it
"""
