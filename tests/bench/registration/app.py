# Registration as one would write it with FastAPI and PostgreSQL: one transaction per request, row locks, a pool.
import hashlib
import os
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import orjson
from fastapi import FastAPI, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

import rules

# All workers together stay below the 100 connections that PostgreSQL allows as installed.
POOL_SIZE = int(os.environ["POOL_SIZE"])


async def teach_json(connection):
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda it: orjson.dumps(it).decode(), decoder=orjson.loads
    )


@asynccontextmanager
async def lifespan(app):
    # asyncpg prepares each statement once per connection and keeps it.
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE, init=teach_json
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


class Cart(BaseModel):
    model_config = ConfigDict(extra="forbid")
    term: str
    sections: Annotated[list[str], Field(min_length=1, max_length=15)]


class Joining(BaseModel):
    model_config = ConfigDict(extra="forbid")
    term: str
    section: str


def reply(status, body):
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


def refused(code, errors):
    body = {"type": "about:blank", "status": 409, "code": code, "detail": rules.SENTENCES[code][0], "errors": errors}
    return Response(orjson.dumps(body), status_code=409, media_type="application/problem+json")


def problem(status, code):
    body = {"type": "about:blank", "status": status, "code": code}
    return Response(orjson.dumps(body), status_code=status, media_type="application/problem+json")


LOCK_STUDENT = "SELECT status, programs FROM student WHERE id = $1 FOR UPDATE"
KEPT_REPLY = "SELECT input, body FROM reply WHERE student = $1 AND operation = $2 AND key = $3"
BACKGROUND = """
SELECT term.state, term.opens_at, term.closes_at, term.add_until,
       ARRAY(SELECT course_code FROM past_course WHERE student = $1) AS past,
       ARRAY(SELECT section FROM waitlist_entry WHERE student = $1 AND state = 'waiting') AS waiting,
       (SELECT coalesce(sum(credits), 0)::int FROM waitlist_entry WHERE student = $1 AND state = 'waiting')
           AS waitlisted_credits,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'reason', reason)), '[]') FROM hold
           WHERE student = $1 AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > now())) AS holds
FROM term WHERE id = $2
"""
STANDING = """
SELECT section.id, section.course, registration.credits, section.meetings
FROM registration JOIN section ON section.id = registration.section
WHERE registration.student = $1 AND registration.term = $2 AND registration.state IN ('seat_held', 'registered')
"""
# In one order, so that two carts cannot wait for each other.
LOCK_SECTIONS = """
SELECT id, term, code, status, course, title, credits, meetings, prerequisites, programs, capacity, taken,
       waitlist_capacity, waiting, last_position
FROM section WHERE id = ANY($1) ORDER BY id FOR UPDATE
"""
TAKE_SEATS = "UPDATE section SET taken = taken + 1 WHERE id = ANY($1)"
PUT_SUBMISSION = "INSERT INTO submission (id, student, term, failed, submitted_at) VALUES ($1, $2, $3, $4, $5)"
PUT_BUNDLES = """
INSERT INTO bundle (id, submission, state, held_at) SELECT id, $2, 'seats_held', $3 FROM unnest($1::uuid[]) AS id
"""
PUT_REGISTRATIONS = """
INSERT INTO registration (id, bundle, student, term, section, credits, state, held_at)
SELECT id, bundle, $5, $6, section, credits, 'seat_held', $7
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[]) AS it (id, bundle, section, credits)
"""
PUT_EVENTS = "INSERT INTO outbox (name, body) SELECT $1, body FROM unnest($2::jsonb[]) AS body"
KEEP_REPLY = "INSERT INTO reply (student, operation, key, input, body) VALUES ($1, $2, $3, $4, $5)"
JOIN_LINE = "UPDATE section SET waiting = waiting + 1, last_position = last_position + 1 WHERE id = $1"
PUT_ENTRY = """
INSERT INTO waitlist_entry (id, student, section, position, credits, state, joined_at)
VALUES ($1, $2, $3, $4, $5, 'waiting', $6)
"""


class Command:
    """Who asks for what under which key; commands of one student follow each other."""

    def __init__(self, connection, student, operation, key, body):
        self.connection, self.student, self.operation, self.key = connection, student, operation, key
        self.input = hashlib.sha256(body).hexdigest()

    async def begin(self, term):
        """What is known of the student, or the answer where there is nothing more to do."""
        known = await self.connection.fetchrow(LOCK_STUDENT, self.student)
        if known is None:
            return None, problem(403, "FORBIDDEN")
        kept = await self.connection.fetchrow(KEPT_REPLY, self.student, self.operation, self.key)
        if kept and kept["input"] != self.input:
            return None, problem(422, "IDEMPOTENCY_KEY_REUSED")
        if kept:
            return None, reply(201, kept["body"])
        background = await self.connection.fetchrow(BACKGROUND, self.student, term)
        if background is None:
            return None, refused("TERM_CLOSED", [])
        standing = await self.connection.fetch(STANDING, self.student, term)
        situation = rules.Situation(
            now=datetime.now(UTC),
            term=background,
            status=known["status"],
            programs=set(known["programs"]),
            holds=background["holds"],
            past=set(background["past"]),
            waiting=set(background["waiting"]),
            standing=list(standing),
        )
        return situation, background["waitlisted_credits"]

    async def lock(self, sections):
        return {row["id"]: row for row in await self.connection.fetch(LOCK_SECTIONS, sections)}

    async def keep(self, body):
        await self.connection.execute(KEEP_REPLY, self.student, self.operation, self.key, self.input, body)


@app.post("/submissions")
async def submit(
    request: Request, cart: Cart, x_student: Annotated[str, Header()], idempotency_key: Annotated[str, Header()]
):
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        command = Command(connection, x_student, "submit", idempotency_key, await request.body())
        situation, more = await command.begin(cart.term)
        if situation is None:
            return more
        sections = await command.lock(cart.sections)
        passed, failed = rules.decide(cart.sections, cart.term, sections, situation)
        if not passed:
            errors = [{"section": item["section"], **code} for item in failed for code in item["codes"]]
            return refused(rules.first_code(errors), errors)
        body = await record(command, cart, passed, failed, situation.now)
    return reply(201, body)


async def record(command, cart, passed, failed, now):
    connection, submission = command.connection, uuid.uuid4()
    await connection.execute(TAKE_SEATS, [section["id"] for section in passed])
    await connection.execute(PUT_SUBMISSION, submission, command.student, cart.term, failed, now)
    held = [(uuid.uuid4(), uuid.uuid4(), section) for section in passed]
    bundles = [bundle for _, bundle, _ in held]
    await connection.execute(PUT_BUNDLES, bundles, submission, now)
    await connection.execute(
        PUT_REGISTRATIONS,
        [registration for registration, _, _ in held],
        bundles,
        [section["id"] for _, _, section in held],
        [section["credits"] for _, _, section in held],
        command.student,
        cart.term,
        now,
    )
    events = [
        {"bundle": bundle, "student": command.student, "registration": registration, "section": section["id"]}
        for registration, bundle, section in held
    ]
    await connection.execute(PUT_EVENTS, "enrollment.saga.requested", events)
    body = {
        "id": str(submission),
        "term": cart.term,
        "submitted_at": now.isoformat(),
        "bundles": [
            {
                "bundle": str(bundle),
                "state": "seats_held",
                "registrations": [
                    {
                        "registration": str(registration),
                        "section": section["id"],
                        "section_code": section["code"],
                        "course_title": section["title"],
                    }
                ],
            }
            for registration, bundle, section in held
        ],
        "failed": failed,
    }
    await command.keep(body)
    return body


@app.post("/waitlist-entries")
async def join(
    request: Request, joining: Joining, x_student: Annotated[str, Header()], idempotency_key: Annotated[str, Header()]
):
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        command = Command(connection, x_student, "join-waitlist", idempotency_key, await request.body())
        situation, more = await command.begin(joining.term)
        if situation is None:
            return more
        section = (await command.lock([joining.section])).get(joining.section)
        if section is None:
            return problem(404, "SECTION_UNKNOWN")
        codes = rules.may_join(section, joining.term, situation, more)
        if codes:
            return refused(rules.first_code(codes), [{"section": joining.section, **code} for code in codes])
        entry, position = uuid.uuid4(), section["last_position"] + 1
        await connection.execute(JOIN_LINE, joining.section)
        await connection.execute(
            PUT_ENTRY, entry, x_student, joining.section, position, section["credits"], situation.now
        )
        told = {"entry": str(entry), "student": x_student, "section": joining.section, "state": "waiting"}
        await connection.execute(PUT_EVENTS, "enrollment.waitlist.changed", [told])
        body = {**told, "id": str(entry), "rank": section["waiting"] + 1, "section_code": section["code"]}
        await command.keep(body)
    return reply(201, body)


@app.get("/health")
async def health(request: Request):
    await request.app.state.pool.fetchval("SELECT 1")
    return reply(200, {})
