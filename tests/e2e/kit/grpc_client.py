"""Debian's gRPC for Python against the gateway: address, token. Messages are bytes made by hand."""
import json
import sys

import grpc

address, token = sys.argv[1:3]
channel = grpc.insecure_channel(address)
signed = (("authorization", "Bearer " + token),)


def code_of(call):
    try:
        call()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def fields(data):
    """Field numbers of the outermost level, all of them with a length."""
    found, at = [], 0
    while at < len(data):
        found.append(data[at] >> 3)
        length, shift, at = 0, 0, at + 1
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        at += length
    return found


check = channel.unary_unary("/grpc.health.v1.Health/Check")
page = channel.unary_unary("/events.v1.ProspectQueries/ListProspects")
nothing = channel.unary_unary("/events.v1.ProspectQueries/Nothing")
subscribe = channel.unary_stream("/events.v1.EventStream/Subscribe")

frames = []
stream = subscribe(b"", metadata=signed, timeout=20)
for frame in stream:
    frames.append({1: "welcome", 3: "subscribed"}.get(fields(frame)[0], "other"))
    if len(frames) == 2:
        break
stream.cancel()

print(json.dumps({
    "health": check(b"", timeout=20)[1],
    "refused": code_of(lambda: page(b"", timeout=20)),
    "unknown": code_of(lambda: nothing(b"", timeout=20)),
    "listed": fields(page(b"", metadata=signed, timeout=20)).count(1) == 50,
    "frames": frames,
}))
