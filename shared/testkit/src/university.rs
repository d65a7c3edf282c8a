//! A made-up university as a OneRoster 1.2 zip: the same seed gives the same bytes. Names are common given and family
//! names put together at random; whoever bears one is nobody in particular. The lists of names were put together by us, and
//! are under the project's licence.

use std::io::{Cursor, Write};

use fastrand::Rng;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[derive(Debug, Clone, Copy)]
pub struct UniversitySettings {
    pub seed: u64,
    pub students: u32,
    /// Of which a fifth are those of the term before, with their history.
    pub sections: u32,
}

impl Default for UniversitySettings {
    fn default() -> Self {
        Self { seed: 1, students: 2_000, sections: 150 }
    }
}

/// Files of OneRoster, as the manifest lists them.
const FILES: [&str; 7] =
    ["academicSessions", "classes", "courses", "enrollments", "orgs", "roles", "users"];

/// One for each department.
const TEACHERS_MIN: u32 = 12;

/// A made-up university: the file, and somebody in it.
pub struct University {
    pub archive: Vec<u8>,
    /// A student whom a demo can follow.
    pub student: ImportedStudent,
}

pub struct ImportedStudent {
    pub given_name: String,
    pub family_name: String,
    pub email: String,
}

pub fn university(settings: &UniversitySettings) -> University {
    let mut rng = Rng::with_seed(settings.seed);
    let teachers = (settings.sections / 3).max(TEACHERS_MIN);
    let sections = sections(settings.sections, &mut rng);
    let people = people(teachers + settings.students, &mut rng);
    let (teachers, students) = people.split_at(teachers as usize);
    let enrollments = enrollments(&sections, teachers, students, &mut rng);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, table: Csv| {
        let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
        zip.start_file(format!("{name}.csv"), options).expect("a file begins in memory");
        zip.write_all(&table.bytes()).expect("memory takes everything");
    };
    add("manifest", manifest());
    add("orgs", orgs());
    add("academicSessions", sessions());
    add("courses", courses());
    add("users", users(teachers, students));
    add("roles", roles(teachers, students));
    add("classes", classes(&sections));
    add("enrollments", enrollments);
    let student = students.first().expect("a university has students");
    University {
        archive: zip.finish().expect("the archive ends in memory").into_inner(),
        student: ImportedStudent {
            given_name: student.given.to_owned(),
            family_name: student.family.clone(),
            email: student.email(),
        },
    }
}

struct Csv(csv::Writer<Vec<u8>>);

impl Csv {
    fn new(header: &[&str]) -> Self {
        let mut own = Self(csv::Writer::from_writer(Vec::new()));
        own.row(header);
        own
    }

    fn row(&mut self, fields: &[&str]) {
        self.0.write_record(fields).expect("every row has the header's fields");
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes everything")
    }
}

fn manifest() -> Csv {
    let mut csv = Csv::new(&["propertyName", "value"]);
    csv.row(&["manifest.version", "1.0"]);
    csv.row(&["oneroster.version", "1.2"]);
    for file in FILES {
        csv.row(&[&format!("file.{file}"), "bulk"]);
    }
    for file in ["categories", "demographics", "lineItems", "results", "userProfiles"] {
        csv.row(&[&format!("file.{file}"), "absent"]);
    }
    csv.row(&["source.systemName", "University generator"]);
    csv
}

fn orgs() -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "name",
        "type",
        "identifier",
        "parentSourcedId",
    ]);
    csv.row(&["org-university", "", "", "Universidad Éloi Nkomo", "school", "UEN", ""]);
    for Department { code, name, .. } in DEPARTMENTS {
        csv.row(&[&org_of(code), "", "", name, "department", code, "org-university"]);
    }
    csv
}

fn org_of(department: &str) -> String {
    format!("org-{}", department.to_lowercase())
}

const LAST_TERM: &str = "session-2026-autumn";
const THIS_TERM: &str = "session-2027-spring";

/// Registration for the coming term is open for years, so that a demonstration finds it open whatever the day.
fn sessions() -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "title",
        "type",
        "startDate",
        "endDate",
        "parentSourcedId",
        "schoolYear",
        "metadata.matricula.registrationOpensAt",
        "metadata.matricula.registrationClosesAt",
    ]);
    let year = "session-2026-2027";
    csv.row(&[
        year,
        "",
        "",
        "2026-2027",
        "schoolYear",
        "2026-09-01",
        "2027-08-31",
        "",
        "2027",
        "",
        "",
    ]);
    let (first, last) = ("2026-09-07", "2026-12-18");
    csv.row(&[LAST_TERM, "", "", "Autumn 2026", "term", first, last, year, "2027", "", ""]);
    let (first, last) = ("2027-02-01", "2027-06-11");
    let (opens, closes) = ("2026-01-05T08:00:00Z", "2035-12-31T22:59:59Z");
    csv.row(&[THIS_TERM, "", "", "Spring 2027", "term", first, last, year, "2027", opens, closes]);
    csv
}

/// A course by its number in its department: `101`, `102`, `201` and so on.
fn course_code(department: &str, place: usize) -> String {
    format!("{department}{}0{}", place / 2 + 1, place % 2 + 1)
}

fn courses() -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "schoolYearSourcedId",
        "title",
        "courseCode",
        "grades",
        "orgSourcedId",
        "subjects",
        "subjectCodes",
        "metadata.matricula.credits",
    ]);
    for Department { code: department, courses, .. } in DEPARTMENTS {
        for (place, (title, credits)) in courses.iter().enumerate() {
            let code = course_code(department, place);
            let (source, org) = (format!("course-{}", code.to_lowercase()), org_of(department));
            csv.row(&[&source, "", "", "", title, &code, "", &org, "", "", credits]);
        }
    }
    csv
}

struct Section {
    source: String,
    code: String,
    title: &'static str,
    course: String,
    term: &'static str,
    department: usize,
    capacity: u32,
    approval_required: bool,
    meetings: String,
}

/// Sections go round the departments and their courses, so that every number of them is well mixed.
fn sections(count: u32, rng: &mut Rng) -> Vec<Section> {
    const DAYS: [&str; 4] = ["MO WE", "TU TH", "WE FR", "TU FR"];
    const HOURS: [&str; 5] =
        ["08:00-09:30", "09:45-11:15", "11:30-13:00", "14:00-15:30", "15:45-17:15"];
    let of_last_term = count / 5;
    (0..count)
        .map(|number| {
            let last = number < of_last_term;
            let place = (if last { number } else { number - of_last_term }) as usize;
            let department = place % DEPARTMENTS.len();
            let Department { code, courses, .. } = &DEPARTMENTS[department];
            let course = place / DEPARTMENTS.len() % courses.len();
            let letter = letters(place / DEPARTMENTS.len() / courses.len());
            let (title, _) = courses[course];
            let course = course_code(code, course);
            let season = if last { "2026-autumn" } else { "2027-spring" };
            let meetings = format!("{} {}", DAYS[rng.usize(..4)], HOURS[rng.usize(..5)]);
            Section {
                source: format!(
                    "class-{season}-{}-{}",
                    course.to_lowercase(),
                    letter.to_lowercase()
                ),
                code: format!("{course}-{letter}"),
                title,
                course: format!("course-{}", course.to_lowercase()),
                term: if last { LAST_TERM } else { THIS_TERM },
                department,
                // Some are so small that students compete for them.
                capacity: if place % 10 == 9 {
                    3
                } else {
                    [20, 24, 30, 30, 36, 60][rng.usize(..6)]
                },
                approval_required: place % 8 == 5,
                meetings,
            }
        })
        .collect()
}

/// A, B, … Z, AA, AB, …
fn letters(number: usize) -> String {
    let last = char::from(b'A' + u8::try_from(number % 26).expect("below 26"));
    if number < 26 { last.to_string() } else { format!("{}{last}", letters(number / 26 - 1)) }
}

fn classes(sections: &[Section]) -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "title",
        "grades",
        "courseSourcedId",
        "classCode",
        "classType",
        "location",
        "schoolSourcedId",
        "termSourcedIds",
        "subjects",
        "subjectCodes",
        "periods",
        "metadata.matricula.capacity",
        "metadata.matricula.priceGroup",
        "metadata.matricula.approvalRequired",
        "metadata.matricula.meetings",
    ]);
    for section in sections {
        let Section { source, code, title, course, term, meetings, .. } = section;
        let (capacity, approval) =
            (section.capacity.to_string(), section.approval_required.to_string());
        csv.row(&[
            source,
            "",
            "",
            title,
            "",
            course,
            code,
            "scheduled",
            "",
            "org-university",
            term,
            "",
            "",
            "",
            &capacity,
            "standard",
            &approval,
            meetings,
        ]);
    }
    csv
}

struct Person {
    given: &'static str,
    family: String,
    /// Unique, and what stands before the `@` of the address.
    username: String,
}

impl Person {
    fn email(&self) -> String {
        format!("{}@matricula.example", self.username)
    }
}

fn people(count: u32, rng: &mut Rng) -> Vec<Person> {
    (1..=count)
        .map(|number| {
            let Names { given, family, doubled } = &NAMES[rng.usize(..NAMES.len())];
            let given = given[rng.usize(..given.len())];
            let mut name = family[rng.usize(..family.len())].to_owned();
            if *doubled {
                name = format!("{name} {}", family[rng.usize(..family.len())]);
            }
            let first = name.split(' ').next().unwrap_or(&name);
            let username = format!("{}.{}.{number}", plain(given), plain(first));
            Person { given, family: name, username }
        })
        .collect()
}

/// The name as an address can carry it.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .filter_map(|character| match character {
            'à' | 'á' | 'â' | 'ã' | 'ä' => Some('a'),
            'ç' => Some('c'),
            'è' | 'é' | 'ê' | 'ë' => Some('e'),
            'í' | 'î' | 'ï' => Some('i'),
            'ñ' => Some('n'),
            'ó' | 'ô' | 'ö' => Some('o'),
            'ú' | 'û' | 'ü' => Some('u'),
            letter if letter.is_ascii_alphanumeric() => Some(letter),
            _ => None,
        })
        .collect()
}

fn users(teachers: &[Person], students: &[Person]) -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "enabledUser",
        "username",
        "userIds",
        "givenName",
        "familyName",
        "middleName",
        "identifier",
        "email",
        "sms",
        "phone",
        "agentSourcedIds",
        "grades",
        "password",
        "userMasterIdentifier",
        "resourceSourcedIds",
        "preferredGivenName",
        "preferredMiddleName",
        "preferredFamilyName",
        "primaryOrgSourcedId",
        "pronouns",
    ]);
    let mut add = |kind: &str, prefix: &str, number: usize, person: &Person| {
        let source = source_of(kind, number);
        let identifier = format!("{prefix}{number:06}");
        let email = person.email();
        let mut row = [""; 23];
        row[0] = &source;
        row[3] = "true";
        row[4] = &person.username;
        row[6] = person.given;
        row[7] = &person.family;
        row[9] = &identifier;
        row[10] = &email;
        row[21] = "org-university";
        csv.row(&row);
    };
    for (person, number) in teachers.iter().zip(1..) {
        add("teacher", "T", number, person);
    }
    for (person, number) in students.iter().zip(1..) {
        add("student", "S", number, person);
    }
    csv
}

fn source_of(kind: &str, number: usize) -> String {
    format!("user-{kind}-{number:06}")
}

fn roles(teachers: &[Person], students: &[Person]) -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "userSourcedId",
        "roleType",
        "role",
        "beginDate",
        "endDate",
        "orgSourcedId",
        "userProfileSourcedId",
    ]);
    let mut add = |role: &str, number: usize, org: &str| {
        let user = source_of(role, number);
        let source = format!("role-{role}-{number:06}");
        csv.row(&[&source, "", "", &user, "primary", role, "", "", org, ""]);
    };
    for number in 1..=teachers.len() {
        let department = &DEPARTMENTS[(number - 1) % DEPARTMENTS.len()];
        add("teacher", number, &org_of(department.code));
    }
    for number in 1..=students.len() {
        add("student", number, "org-university");
    }
    csv
}

/// A teacher for each section, and students in two thirds of the seats of the term before; nobody sits in two.
fn enrollments(
    sections: &[Section],
    teachers: &[Person],
    students: &[Person],
    rng: &mut Rng,
) -> Csv {
    let mut csv = Csv::new(&[
        "sourcedId",
        "status",
        "dateLastModified",
        "classSourcedId",
        "schoolSourcedId",
        "userSourcedId",
        "role",
        "primary",
        "beginDate",
        "endDate",
    ]);
    let mut number = 0;
    let mut add = |section: &Section, user: &str, role: &str, primary: &str| {
        number += 1;
        let source = format!("enrollment-{number:06}");
        let school = "org-university";
        csv.row(&[&source, "", "", &section.source, school, user, role, primary, "", ""]);
    };
    let mut waiting: Vec<usize> = (1..=students.len()).collect();
    rng.shuffle(&mut waiting);
    for (place, section) in sections.iter().enumerate() {
        // Teachers go round the departments as sections do, so that each teaches in their own.
        let rounds = teachers.len() / DEPARTMENTS.len();
        let teacher = section.department + DEPARTMENTS.len() * (place % rounds);
        add(section, &source_of("teacher", teacher + 1), "teacher", "true");
        if section.term == LAST_TERM {
            let taken = (section.capacity * 2 / 3) as usize;
            for student in waiting.split_off(waiting.len().saturating_sub(taken)) {
                add(section, &source_of("student", student), "student", "");
            }
        }
    }
    csv
}

struct Department {
    code: &'static str,
    name: &'static str,
    /// Title and credits.
    courses: [(&'static str, &'static str); 5],
}

const DEPARTMENTS: [Department; 12] = [
    Department {
        code: "MATH",
        name: "Mathématiques",
        courses: [
            ("Calculus I", "6.00"),
            ("Linear Algebra", "6.00"),
            ("Probability and Statistics", "6.00"),
            ("Differential Equations", "5.00"),
            ("Number Theory", "4.50"),
        ],
    },
    Department {
        code: "PHYS",
        name: "Physique",
        courses: [
            ("Mechanics", "6.00"),
            ("Electromagnetism", "6.00"),
            ("Waves and Optics", "5.00"),
            ("Thermodynamics", "5.00"),
            ("Quantum Physics", "6.00"),
        ],
    },
    Department {
        code: "CHEM",
        name: "Química",
        courses: [
            ("General Chemistry", "6.00"),
            ("Organic Chemistry", "6.00"),
            ("Analytical Chemistry", "4.50"),
            ("Physical Chemistry", "5.00"),
            ("Environmental Chemistry", "3.00"),
        ],
    },
    Department {
        code: "BIOL",
        name: "Biología",
        courses: [
            ("Cell Biology", "6.00"),
            ("Genetics", "5.00"),
            ("Ecology", "4.50"),
            ("Microbiology", "5.00"),
            ("Evolution", "4.00"),
        ],
    },
    Department {
        code: "COMP",
        name: "Computer Science",
        courses: [
            ("Programming I", "6.00"),
            ("Data Structures", "6.00"),
            ("Databases", "5.00"),
            ("Operating Systems", "5.00"),
            ("Distributed Systems", "6.00"),
        ],
    },
    Department {
        code: "CIVE",
        name: "Génie civil",
        courses: [
            ("Statics", "5.00"),
            ("Strength of Materials", "5.00"),
            ("Hydraulics", "4.50"),
            ("Surveying", "3.00"),
            ("Reinforced Concrete", "6.00"),
        ],
    },
    Department {
        code: "ECON",
        name: "Economía",
        courses: [
            ("Microeconomics", "6.00"),
            ("Macroeconomics", "6.00"),
            ("Econometrics", "5.00"),
            ("Development Economics", "4.00"),
            ("Public Finance", "4.00"),
        ],
    },
    Department {
        code: "MGMT",
        name: "Gestion",
        courses: [
            ("Financial Accounting", "5.00"),
            ("Marketing", "4.00"),
            ("Human Resources", "3.00"),
            ("Operations Management", "4.50"),
            ("Entrepreneurship", "3.00"),
        ],
    },
    Department {
        code: "LAWS",
        name: "Droit",
        courses: [
            ("Constitutional Law", "6.00"),
            ("Contract Law", "6.00"),
            ("Criminal Law", "5.00"),
            ("International Law", "4.50"),
            ("Labour Law", "4.00"),
        ],
    },
    Department {
        code: "HIST",
        name: "Historia",
        courses: [
            ("Ancient History", "4.00"),
            ("African History", "4.00"),
            ("Latin American History", "4.00"),
            ("History of Science", "3.00"),
            ("Historical Method", "3.00"),
        ],
    },
    Department {
        code: "LANG",
        name: "Langues et lettres",
        courses: [
            ("Academic Writing", "3.00"),
            ("Francophone Literature", "4.00"),
            ("Spanish Literature", "4.00"),
            ("Linguistics", "4.50"),
            ("Translation", "4.00"),
        ],
    },
    Department {
        code: "NURS",
        name: "Nursing",
        courses: [
            ("Anatomy", "6.00"),
            ("Physiology", "6.00"),
            ("Pharmacology", "5.00"),
            ("Community Health", "4.00"),
            ("Clinical Practice", "9.00"),
        ],
    },
];

struct Names {
    given: [&'static str; 24],
    family: [&'static str; 30],
    /// Two family names, as in Spanish.
    doubled: bool,
}

const NAMES: [Names; 3] = [
    Names {
        given: [
            "Amina",
            "Brigitte",
            "Cédric",
            "Chantal",
            "Désiré",
            "Élodie",
            "Estelle",
            "Fabrice",
            "Françoise",
            "Gaëlle",
            "Hervé",
            "Inès",
            "Jérôme",
            "Joël",
            "Léa",
            "Maëlle",
            "Mathieu",
            "Noémie",
            "Océane",
            "Pascal",
            "Rémi",
            "Solène",
            "Thérèse",
            "Yannick",
        ],
        family: [
            "Abanda", "Atangana", "Bâ", "Bernard", "Biya", "Diallo", "Dubois", "Durand", "Essomba",
            "Etoundi", "Fouda", "Girard", "Lefèvre", "Mbarga", "Mballa", "Moreau", "Ndiaye",
            "Ngono", "Nguema", "Nkomo", "Onana", "Owona", "Petit", "Rousseau", "Sarr", "Simon",
            "Tchoumi", "Traoré", "Vidal", "Zogo",
        ],
        doubled: false,
    },
    Names {
        given: [
            "Alejandro",
            "Andrés",
            "Beatriz",
            "Camila",
            "Carlos",
            "Diego",
            "Elena",
            "Ximena",
            "Gonzalo",
            "Inés",
            "Javier",
            "José",
            "Lucía",
            "María",
            "Martín",
            "Mónica",
            "Óscar",
            "Paula",
            "Raúl",
            "Rocío",
            "Sofía",
            "Tomás",
            "Valentina",
            "Íñigo",
        ],
        family: [
            "Aguilar",
            "Álvarez",
            "Benítez",
            "Castillo",
            "Delgado",
            "Díaz",
            "Fernández",
            "Flores",
            "García",
            "Gómez",
            "González",
            "Gutiérrez",
            "Hernández",
            "Ibáñez",
            "Jiménez",
            "López",
            "Martínez",
            "Medina",
            "Morales",
            "Muñoz",
            "Núñez",
            "Ortega",
            "Peña",
            "Ramírez",
            "Rodríguez",
            "Sánchez",
            "Torres",
            "Vargas",
            "Vásquez",
            "Zúñiga",
        ],
        doubled: true,
    },
    Names {
        given: [
            "Abigail", "Adaeze", "Benjamin", "Chidi", "Daniel", "Emma", "Esther", "Femi", "Grace",
            "Hannah", "Ibrahim", "James", "Joy", "Kwame", "Laura", "Michael", "Ngozi", "Oliver",
            "Patience", "Ruth", "Samuel", "Tobias", "Victoria", "Zainab",
        ],
        family: [
            "Achebe", "Adeyemi", "Anderson", "Baker", "Bello", "Campbell", "Clarke", "Danso",
            "Edwards", "Eze", "Foster", "Green", "Hall", "Ibekwe", "Johnson", "King", "Lewis",
            "Mensah", "Mitchell", "Nwosu", "O'Brien", "Okafor", "Owusu", "Parker", "Quaye",
            "Roberts", "Smith", "Taylor", "Walker", "Young",
        ],
        doubled: false,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Read;

    use zip::ZipArchive;

    use super::*;

    fn rows(archive: &[u8], name: &str) -> Vec<csv::StringRecord> {
        let mut zip = ZipArchive::new(Cursor::new(archive)).expect("an archive");
        let mut text = String::new();
        zip.by_name(name).expect("a file").read_to_string(&mut text).expect("it is UTF-8");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.records().collect::<Result<_, _>>().expect("every row fits its header")
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
        let settings = UniversitySettings { students: 50, sections: 30, ..Default::default() };
        let made = |settings: &UniversitySettings| university(settings).archive;
        assert_eq!(made(&settings), made(&settings));
        assert_ne!(made(&settings), made(&UniversitySettings { seed: 2, ..settings }));
    }

    #[test]
    fn there_is_as_much_of_everything_as_asked_for() {
        let archive = university(&UniversitySettings::default()).archive;
        assert_eq!(rows(&archive, "users.csv").len(), 2_000 + 50);
        assert_eq!(rows(&archive, "orgs.csv").len(), 1 + 12);
        assert_eq!(rows(&archive, "courses.csv").len(), 60);
        let classes = rows(&archive, "classes.csv");
        assert_eq!(classes.len(), 150);
        assert_eq!(classes.iter().filter(|class| &class[10] == LAST_TERM).count(), 30);
        let codes: HashSet<_> = classes.iter().map(|class| (&class[6], &class[10])).collect();
        assert_eq!(codes.len(), 150, "a code is given once in a term");
        assert!(classes.iter().any(|class| &class[14] == "3"), "some are small");
        assert!(classes.iter().any(|class| &class[16] == "true"), "some need approval");
        let history = rows(&archive, "enrollments.csv");
        assert!(history.iter().filter(|row| &row[6] == "student").count() > 100);
    }

    #[test]
    fn a_tiny_university_is_one_too() {
        let archive =
            university(&UniversitySettings { students: 1, sections: 1, ..Default::default() })
                .archive;
        assert_eq!(rows(&archive, "classes.csv").len(), 1);
    }

    #[test]
    fn addresses_are_plain_and_lead_nowhere() {
        let archive = university(&UniversitySettings::default()).archive;
        let users = rows(&archive, "users.csv");
        let addresses: HashSet<&str> = users.iter().map(|user| &user[10]).collect();
        assert_eq!(addresses.len(), users.len());
        for address in addresses {
            assert!(address.is_ascii() && address.ends_with("@matricula.example"), "{address}");
        }
    }

    #[test]
    fn sections_beyond_the_alphabet_have_letters_too() {
        assert_eq!([0, 25, 26, 27, 52].map(letters), ["A", "Z", "AA", "AB", "BA"]);
    }
}
