# Who may register for what: decided of what was read, with every failing code of an item at once.
from dataclasses import dataclass, field
from datetime import datetime

CREDITS_MAX = 4_500
WAITLISTED_CREDITS_MAX = 3_000

# What is the matter, and what the student can do about it.
SENTENCES = {
    "SECTION_UNKNOWN": ("There is no such section.", "Look the section up in the catalog."),
    "TERM_CLOSED": ("Registration for this term is over.", "Choose a section of a term that is open."),
    "WINDOW_NOT_OPEN": ("Registration is not open yet.", "Come back when it opens."),
    "SECTION_NOT_OFFERED": ("The section is not offered.", "Choose another section."),
    "HOLD": ("A hold stops the registration.", "Ask the office that placed it."),
    "STATUS_INELIGIBLE": ("The student may not register.", "Ask the registrar."),
    "DUPLICATE_SECTION": ("The section is there already.", "Leave it out."),
    "DUPLICATE_COURSE": ("The course is there already.", "Drop the other section first."),
    "RESTRICTION_PROGRAMME": ("The section is for students of other programs.", "Ask the head of department."),
    "PREREQ_NOT_MET": ("Its prerequisites are not met.", "Take what is missing first."),
    "TIME_CONFLICT": ("It clashes with another section.", "Choose a section at another time."),
    "MAX_CREDITS": ("The term would have too many credits.", "Drop another section first."),
    "WAITING_ALREADY": ("The student stands in line for it.", "Wait, or leave the line."),
    "CLOSED": ("No seat is free.", "Stand in line."),
    "WAITLIST_ONLY": ("Free seats are for those in line.", "Stand in line."),
    "WAITLIST_FULL": ("The line is full.", "Choose another section."),
    "MAX_WAITLISTED_CREDITS": ("Too many credits are waited for.", "Leave another line."),
    "NO_WAITLIST": ("There is no line for it.", "Choose another section."),
    "SEAT_IS_FREE": ("A seat is free.", "Register for it."),
}
ORDER = {code: at for at, code in enumerate(SENTENCES)}


@dataclass(slots=True)
class Situation:
    now: datetime
    term: dict | None
    status: str
    programs: set[str]
    holds: list[dict]
    past: set[str]
    waiting: set[str]
    # What the student has in the term, and what of the cart was let in: id, course, credits, meetings.
    standing: list[dict] = field(default_factory=list)


def failing(code, other=None, **more):
    message, remedy = SENTENCES[code]
    return {"code": code, "with": other, "message": message, "remedy": remedy, **more}


def clash(ours, theirs):
    """Whether two sections meet at once. Back to back is free."""
    return any(
        a["weekdays"] & b["weekdays"]
        and a["starts"] < b["ends"]
        and b["starts"] < a["ends"]
        and a["first"] <= b["last"]
        and b["first"] <= a["last"]
        for a in ours
        for b in theirs
    )


def window(term, section, wanted, now):
    if section["term"] != wanted or term["state"] == "closed":
        return "TERM_CLOSED"
    if term["state"] != "published" or now < term["opens_at"]:
        return "WINDOW_NOT_OPEN"
    if now > term["closes_at"] or (term["add_until"] and now.date() > term["add_until"]):
        return "TERM_CLOSED"
    return None


def judge(section, wanted, situation, of_seats=True):
    """Every code that speaks against one section, in the order of the checks."""
    codes = []
    closed = window(situation.term, section, wanted, situation.now)
    if closed:
        codes.append(failing(closed))
    if section["status"] != "offered":
        codes.append(failing("SECTION_NOT_OFFERED"))
    if situation.holds:
        codes.append(failing("HOLD", holds=situation.holds))
    if situation.status != "active":
        codes.append(failing("STATUS_INELIGIBLE"))
    for other in situation.standing:
        if other["course"] == section["course"]:
            same = other["id"] == section["id"]
            codes.append(failing("DUPLICATE_SECTION" if same else "DUPLICATE_COURSE", other["id"]))
            break
    if section["programs"] and situation.programs.isdisjoint(section["programs"]):
        codes.append(failing("RESTRICTION_PROGRAMME", missing=section["programs"]))
    missing = [code for code in section["prerequisites"] if code not in situation.past]
    if missing:
        codes.append(failing("PREREQ_NOT_MET", missing=missing))
    for other in situation.standing:
        if other["id"] != section["id"] and clash(section["meetings"], other["meetings"]):
            codes.append(failing("TIME_CONFLICT", other["id"]))
    if sum(other["credits"] for other in situation.standing) + section["credits"] > CREDITS_MAX:
        codes.append(failing("MAX_CREDITS"))
    if section["id"] in situation.waiting:
        codes.append(failing("WAITING_ALREADY"))
    if of_seats:
        if section["taken"] >= section["capacity"]:
            codes.append(failing("CLOSED"))
        elif section["waiting"] > 0:
            codes.append(failing("WAITLIST_ONLY"))
    return codes


def decide(cart, wanted, sections, situation):
    """Goes through the cart in its order; each section is judged with those before it that passed."""
    passed, failed, seen = [], [], set()
    for section_id in cart:
        section = sections.get(section_id)
        if section is None:
            codes = [failing("SECTION_UNKNOWN")]
        elif section_id in seen:
            codes = [failing("DUPLICATE_SECTION", section_id)]
        else:
            codes = judge(section, wanted, situation)
        seen.add(section_id)
        if codes:
            failed.append({"section": section_id, "codes": codes})
        else:
            passed.append(section)
            situation.standing.append(section)
    return passed, failed


def may_join(section, wanted, situation, waitlisted_credits):
    """The codes that speak against standing in line; a clash may be gone by the time that a seat comes."""
    has_seat = section["taken"] < section["capacity"] and section["waiting"] == 0
    if not has_seat and section["waitlist_capacity"] == 0:
        return [failing("NO_WAITLIST")]
    codes = [it for it in judge(section, wanted, situation, of_seats=False) if it["code"] != "TIME_CONFLICT"]
    if section["waiting"] >= section["waitlist_capacity"]:
        codes.append(failing("WAITLIST_FULL"))
    if waitlisted_credits + section["credits"] > WAITLISTED_CREDITS_MAX:
        codes.append(failing("MAX_WAITLISTED_CREDITS"))
    if has_seat and not codes:
        codes.append(failing("SEAT_IS_FREE"))
    return codes


def first_code(codes):
    return min((it["code"] for it in codes), key=ORDER.__getitem__)
