-- What registration needs, in a database of its own.

CREATE TABLE term (
    id text PRIMARY KEY,
    state text NOT NULL,
    add_until date,
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL
);

CREATE TABLE section (
    id text PRIMARY KEY,
    term text NOT NULL REFERENCES term,
    code text NOT NULL,
    status text NOT NULL,
    course text NOT NULL,
    course_code text NOT NULL,
    title text NOT NULL,
    credits integer NOT NULL,
    -- Weekdays as bits from Monday, hours half open: [{"weekdays", "starts", "ends", "first", "last"}].
    meetings jsonb NOT NULL,
    -- Codes of courses, of which each must have been taken.
    prerequisites text[] NOT NULL,
    -- Whoever is in one of these programs may register; nobody is kept out where it is empty.
    programs text[] NOT NULL,
    capacity integer NOT NULL CHECK (capacity >= 0),
    taken integer NOT NULL DEFAULT 0 CHECK (taken BETWEEN 0 AND capacity),
    waitlist_capacity integer NOT NULL,
    waiting integer NOT NULL DEFAULT 0,
    last_position integer NOT NULL DEFAULT 0
);

CREATE TABLE student (
    id text PRIMARY KEY,
    status text NOT NULL,
    programs text[] NOT NULL
);

CREATE TABLE past_course (
    student text NOT NULL REFERENCES student,
    course_code text NOT NULL,
    PRIMARY KEY (student, course_code)
);

CREATE TABLE hold (
    student text NOT NULL REFERENCES student,
    kind text NOT NULL,
    reason text NOT NULL,
    ends_at timestamptz,
    lifted_at timestamptz
);
CREATE INDEX hold_student ON hold (student);

CREATE TABLE submission (
    id uuid PRIMARY KEY,
    student text NOT NULL REFERENCES student,
    term text NOT NULL REFERENCES term,
    failed jsonb NOT NULL,
    submitted_at timestamptz NOT NULL
);

-- What is charged and confirmed together.
CREATE TABLE bundle (
    id uuid PRIMARY KEY,
    submission uuid NOT NULL REFERENCES submission,
    state text NOT NULL,
    held_at timestamptz NOT NULL
);

CREATE TABLE registration (
    id uuid PRIMARY KEY,
    bundle uuid NOT NULL REFERENCES bundle,
    student text NOT NULL REFERENCES student,
    term text NOT NULL REFERENCES term,
    section text NOT NULL REFERENCES section,
    credits integer NOT NULL,
    state text NOT NULL,
    held_at timestamptz NOT NULL
);
CREATE INDEX registration_student ON registration (student, term);
CREATE UNIQUE INDEX registration_seat ON registration (section, student) WHERE state IN ('seat_held', 'registered');

CREATE TABLE waitlist_entry (
    id uuid PRIMARY KEY,
    student text NOT NULL REFERENCES student,
    section text NOT NULL REFERENCES section,
    position integer NOT NULL,
    credits integer NOT NULL,
    state text NOT NULL,
    joined_at timestamptz NOT NULL,
    UNIQUE (section, position)
);
CREATE UNIQUE INDEX waitlist_place ON waitlist_entry (section, student) WHERE state = 'waiting';
CREATE INDEX waitlist_student ON waitlist_entry (student);

-- The first reply of each command, by its idempotency key.
CREATE TABLE reply (
    student text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    input text NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (student, operation, key)
);

-- Events for whoever charges, notifies and so on.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    body jsonb NOT NULL
);
