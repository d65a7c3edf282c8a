# Makes the tables and puts a registration day into them: prepare.py DATABASE_URL DAY.json
import asyncio
import json
import pathlib
import sys
from datetime import date, datetime

import asyncpg


def section(it, term):
    return (
        it["id"], term, it["code"], "offered", it["course"], it["course_code"], it["title"], it["credits"],
        json.dumps(it["meetings"]), it["prerequisites"], it["programs"], it["capacity"], it["waitlist_capacity"],
    )  # fmt: skip


async def main(url, day):
    connection = await asyncpg.connect(url)
    await connection.execute(pathlib.Path(__file__).with_name("schema.sql").read_text())
    term = day["term"]
    moment, add_until = datetime.fromisoformat, term["add_until"]
    await connection.execute(
        "INSERT INTO term (id, state, add_until, opens_at, closes_at) VALUES ($1, $2, $3, $4, $5)",
        term["id"], term["state"], add_until and date.fromisoformat(add_until),
        moment(term["opens_at"]), moment(term["closes_at"]),
    )  # fmt: skip
    columns = (
        "id", "term", "code", "status", "course", "course_code", "title", "credits", "meetings", "prerequisites",
        "programs", "capacity", "waitlist_capacity",
    )  # fmt: skip
    sections = [section(it, term["id"]) for it in day["sections"]]
    await connection.copy_records_to_table("section", records=sections, columns=columns)
    students = [(it["id"], "active", it["programs"]) for it in day["students"]]
    await connection.copy_records_to_table("student", records=students, columns=("id", "status", "programs"))
    past = [(it["id"], code) for it in day["students"] for code in it["past"]]
    await connection.copy_records_to_table("past_course", records=past, columns=("student", "course_code"))
    holds = [(it["id"], "administrative", it["hold"]) for it in day["students"] if it["hold"]]
    await connection.copy_records_to_table("hold", records=holds, columns=("student", "kind", "reason"))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


asyncio.run(main(sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())))
