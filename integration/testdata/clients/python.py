"""Resumes with Python's ssl. Arguments and lines are those of openssl.sh, but
tickets stay in memory: a session is of one SSLContext and cannot be written."""
import socket
import ssl
import sys

name, ca, _, minor = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv1_{minor}"]
request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
tickets = {"-": None}

for line in sys.stdin:
    address, offer, keep = line.split()
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname=name, session=tickets[offer]) as s:
            s.sendall(request)
            answer = b""
            # To the end: the ticket of TLS 1.3 comes with the answer, and OpenSSL
            # gives up a session whose connection broke off.
            while chunk := s.recv(4096):
                answer += chunk
            if keep != "-":
                tickets[keep] = s.session
            print("Reused" if s.session_reused else "New")
            print(answer.decode().partition("\r\n\r\n")[2], end="")
            # OpenSSL's id of a session that came as a ticket is the ticket's digest.
            print(f"ticket={s.session.id.hex()}\n", flush=True)
