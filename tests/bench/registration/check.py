# What the tables say after the day, as one JSON object: check.py DATABASE_URL
import asyncio
import json
import sys

import asyncpg

HAS_SEAT = "state IN ('seat_held', 'registered')"
QUESTIONS = {
    "registrations": f"SELECT count(*) FROM registration WHERE {HAS_SEAT}",
    "waiting": "SELECT count(*) FROM waitlist_entry WHERE state = 'waiting'",
    "oversold": f"""
        SELECT coalesce(sum(greatest(seated - capacity, 0)), 0)::int FROM section
        JOIN (SELECT section, count(*) AS seated FROM registration WHERE {HAS_SEAT} GROUP BY section) AS it
        ON it.section = section.id""",
    "duplicates": f"""
        SELECT coalesce(sum(times - 1), 0)::int FROM (SELECT count(*) AS times FROM registration
        JOIN section ON section.id = registration.section WHERE {HAS_SEAT} GROUP BY student, course) AS it""",
    "miscounted": f"""
        SELECT count(*) FROM section WHERE taken <>
        (SELECT count(*) FROM registration WHERE registration.section = section.id AND {HAS_SEAT})""",
    "disordered": """
        SELECT count(*) FROM section WHERE (waiting, last_position) <>
        (SELECT count(*), coalesce(max(position), 0) FROM waitlist_entry
         WHERE waitlist_entry.section = section.id AND state = 'waiting')""",
}


async def main(url):
    connection = await asyncpg.connect(url)
    answers = {name: await connection.fetchval(question) for name, question in QUESTIONS.items()}
    await connection.close()
    print(json.dumps(answers))


asyncio.run(main(sys.argv[1]))
