"""HTTP/1.x as the daemons' server, Go's net/http, takes it. A boundary between requests is told only where that server
sees the same one.
"""
