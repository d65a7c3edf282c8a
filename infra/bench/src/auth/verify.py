# Verifies the token again and again, as an authorizer in Python would, and prints the median in microseconds.
import json
import statistics
import sys
import time

import jwt

BATCHES, AT_ONCE = 200, 50

given = json.load(sys.stdin)
keys = {key["kid"]: jwt.PyJWK(key).key for key in given["keys"]}


def verify():
    key = keys[jwt.get_unverified_header(given["token"])["kid"]]
    return jwt.decode(
        given["token"],
        key,
        algorithms=["EdDSA"],
        issuer=given["issuer"],
        audience=given["audience"],
        leeway=60,
        options={"require": ["exp", "iat", "iss", "aud", "sub", "sid"]},
    )


assert verify()["sid"]
times = []
for _ in range(BATCHES):
    began = time.process_time_ns()
    for _ in range(AT_ONCE):
        verify()
    times.append((time.process_time_ns() - began) / AT_ONCE / 1_000)
print(round(statistics.median(times), 3))
