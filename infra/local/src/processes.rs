//! Other programs: run to their end with a log, started for later, or kept on a leash.
//!
//! There are no signal handlers here. What must not outlive this program hangs on a pipe that
//! closes when it ends,
//! however it ends.
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::checkout::shown;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::state;

const POLL: Duration = Duration::from_millis(50);
/// A cloud with some hundred functions takes about three seconds to stop; many more on a busy machine, with its
/// whole state to write. Longer than the leash below waits.
const GRACE_MAX: Duration = Duration::from_secs(75);
/// In the environment of everything that this program runs, and of what that runs: by which of its processes.
const STARTED_BY: &str = "MATRICULA_STARTED_BY";
/// A compiler's cache stays for the next one by its nature.
const MAY_STAY: &str = "sccache";

/// A process that outlives this program, known again by its pid and the moment of its birth.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub pid: u32,
    pub birth: String,
    /// Seconds since 1970.
    pub started_at: u64,
}

impl Recorded {
    /// Whether that very process still lives: a pid alone may be somebody else's by now.
    pub fn lives(&self) -> bool {
        birth(self.pid).is_some_and(|birth| birth == self.birth)
    }

    /// Asks the process to end, then makes it. Stopping what is gone already succeeds.
    pub fn stop(&self) -> Result<(), Failure> {
        for signal in ["TERM", "KILL"] {
            let asked = Instant::now();
            while self.lives() {
                if asked.elapsed() < POLL {
                    self.signal(signal)?;
                }
                if asked.elapsed() > GRACE_MAX {
                    break;
                }
                thread::sleep(POLL);
            }
        }
        if self.lives() {
            let advice = format!("Look at it with `ps -fp {}` and stop it by hand.", self.pid);
            return Err(Failure::new(format!("process {} does not end", self.pid), advice));
        }
        Ok(())
    }

    /// The whole group, because a cloud has its functions' processes as children.
    fn signal(&self, name: &str) -> Result<(), Failure> {
        Command::new("sh")
            .args([
                "-c",
                "kill -s \"$1\" -- \"-$2\" 2>/dev/null || true",
                "kill",
                name,
                &self.pid.to_string(),
            ])
            .status()
            .explain(|| "`sh` cannot be run".into(), "Put `sh` on the PATH.")?;
        Ok(())
    }
}

/// How long a service lives.
#[derive(Clone, Copy, PartialEq)]
pub enum Life {
    /// Until `cargo matricula down`.
    UntilStopped,
    /// At most as long as this program, even if that is killed.
    OnLeash,
}

/// A service just started. On a leash it ends when this is dropped.
pub struct Service {
    pub recorded: Recorded,
    child: Child,
    life: Life,
}

/// Runs a program, ends it when the pipe on descriptor 3 closes, and ends when the program ends.
const LEASH: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- & program=$!
{ read -r _; kill -s TERM $program; n=0
  while kill -s 0 $program && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done
  kill -s KILL $program; } <&3 2>/dev/null & leash=$!
wait $program; code=$?
kill $leash 2>/dev/null
exit $code
"#;

impl Service {
    /// Starts a program whose output goes to a log of its own, begun anew.
    pub fn start(program: &Command, life: Life, log: &Path) -> Result<Self, Failure> {
        let output = create_log(log)?;
        let errors =
            output.try_clone().explain(|| "a log cannot be opened twice".into(), CHECK_FILES)?;
        let mut command = match life {
            Life::UntilStopped => same(program),
            Life::OnLeash => leashed(program),
        };
        let name = program.get_program().display().to_string();
        let child = command
            .stdin(if life == Life::OnLeash { Stdio::piped() } else { Stdio::null() })
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .env(STARTED_BY, own_mark())
            .spawn()
            .explain(
                || format!("{name} cannot be started"),
                "Run `cargo matricula up`, which builds what is missing.",
            )?;
        let birth = birth(child.id()).unwrap_or_default();
        let recorded = Recorded { pid: child.id(), birth, started_at: state::now() };
        Ok(Self { recorded, child, life })
    }

    /// Waits until the service answers; one that ends before that is a failure, as is one that
    /// never does.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at once ({status})"));
            }
            if ready() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(format!("does not answer after {} s", limit.as_secs()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.life == Life::OnLeash {
            drop(self.child.stdin.take());
            if let Err(error) = self.child.wait() {
                eprintln!("process {} cannot be waited for: {error}", self.recorded.pid);
            }
        }
    }
}

fn same(program: &Command) -> Command {
    let mut command = Command::new(program.get_program());
    command.args(program.get_args());
    with_surroundings(&mut command, program);
    command
}

fn leashed(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "leash"]).arg(program.get_program()).args(program.get_args());
    with_surroundings(&mut command, program);
    command
}

fn with_surroundings(command: &mut Command, program: &Command) {
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
}

/// Runs a program to its end. All it says goes to the log, each line also to `watch`.
pub fn run(program: &mut Command, log: &Path, watch: impl FnMut(&str)) -> Result<(), Failure> {
    let name = program.get_program().display().to_string();
    let status = run_with_status(program, log, watch)?;
    if status == 0 {
        return Ok(());
    }
    let what = format!("{name} failed (exit code {status})");
    Err(Failure::new(
        what,
        format!("Read {}, mend what it names, and run the command again.", shown(log)),
    )
    .with_log(log))
}

/// Like `run`, for programs whose failure means something: gives their exit code.
pub fn run_with_status(
    program: &mut Command,
    log: &Path,
    mut watch: impl FnMut(&str),
) -> Result<i32, Failure> {
    let name = program.get_program().display().to_string();
    let mut log_file = create_log(log)?;
    let (reader, writer) = std::io::pipe().explain(|| "no pipe can be made".into(), CHECK_FILES)?;
    let second = writer.try_clone().explain(|| "no pipe can be made".into(), CHECK_FILES)?;
    program.stdin(Stdio::null()).stdout(writer).stderr(second);
    program.env(STARTED_BY, own_mark());
    let mut child =
        program.spawn().explain(|| format!("{name} cannot be run"), "Put it on the PATH.")?;
    // The command keeps its ends of the pipe until it is told to use others; then the reader sees
    // the end.
    program.stdout(Stdio::null()).stderr(Stdio::null());
    let mut lines = BufReader::new(reader);
    let mut bytes = Vec::new();
    while lines
        .read_until(b'\n', &mut bytes)
        .explain(|| format!("{name} cannot be heard"), CHECK_FILES)?
        > 0
    {
        log_file
            .write_all(&bytes)
            .explain(|| format!("{} cannot be written", log.display()), CHECK_FILES)?;
        watch(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    let status = child.wait().explain(|| format!("{name} cannot be waited for"), CHECK_FILES)?;
    Ok(status.code().unwrap_or(-1))
}

/// What a program says on its standard output, if it ends well.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What this program has started and what still lives after a moment: a pid and its command line each. Only where there
/// is `/proc`.
pub fn left_behind() -> Vec<String> {
    const ENDING_MAX: Duration = Duration::from_secs(5);
    let asked = Instant::now();
    loop {
        let left = started_here();
        if left.is_empty() || asked.elapsed() > ENDING_MAX {
            return left;
        }
        thread::sleep(POLL);
    }
}

/// No other run's, though its pid may have been the same.
fn own_mark() -> String {
    let pid = std::process::id();
    format!("{pid}.{}", birth(pid).unwrap_or_default())
}

fn started_here() -> Vec<String> {
    let mark = format!("{STARTED_BY}={}", own_mark());
    let mut left = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // Who has ended meanwhile, or belongs to somebody else, cannot be read.
        let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
        if !environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            continue;
        }
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let pid = process.file_name();
        let lives = pid.to_string_lossy().parse().ok().and_then(birth).is_some();
        if lives && !command.contains(MAY_STAY) {
            left.push(format!("{} {}", pid.display(), command.trim_end()));
        }
    }
    left
}

/// The first of these ports that nobody listens on, else one that the system picks.
pub fn free_port(wished: &[Option<u16>]) -> Result<u16, Failure> {
    let listen = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = wished.iter().flatten().find(|port| listen(**port).is_ok()) {
        return Ok(*port);
    }
    listen(0).and_then(|listener| listener.local_addr()).map(|address| address.port()).explain(
        || "no port can be opened on 127.0.0.1".into(),
        "See whether a sandbox or firewall forbids it.",
    )
}

pub fn create_log(log: &Path) -> Result<File, Failure> {
    let folder = log.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| File::create(log))
        .explain(|| format!("{} cannot be written", log.display()), CHECK_FILES)
}

/// When a living process was born, in whatever unit the system tells it; `None` once it has ended.
fn birth(pid: u32) -> Option<String> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => birth_from_stat(&stat),
        Err(_) if Path::new("/proc/self/stat").exists() => None,
        Err(_) => output("ps", &["-o", "lstart=", "-p", &pid.to_string()]),
    }
}

/// The 22nd field of `/proc/PID/stat`; the second is a name in parentheses that may hold anything.
fn birth_from_stat(stat: &str) -> Option<String> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let process_state = fields.next()?;
    let ended = matches!(process_state, "Z" | "X");
    if ended { None } else { fields.nth(18).map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("matricula-{name}-{}.log", std::process::id()))
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_birth_is_read_past_a_name_with_spaces_and_parentheses() {
        let stat = "812 (a (b) c) S 1 812 812 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 8192";
        assert_eq!(birth_from_stat(stat).as_deref(), Some("98765"));
        assert_eq!(birth_from_stat(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn both_streams_of_a_program_reach_the_log_and_the_watcher() {
        let log = log("run");
        let mut seen = Vec::new();
        run(&mut shell("echo one; echo two >&2"), &log, |line| seen.push(line.to_owned()))
            .expect("runs");
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(fs::read_to_string(&log).expect("readable"), "one\ntwo\n");
        let failure = run(&mut shell("exit 3"), &log, |_| ()).expect_err("fails");
        assert_eq!(failure.what, "sh failed (exit code 3)");
        fs::remove_file(log).expect("removable");
    }

    #[test]
    fn a_service_is_known_again_and_stopped_once() {
        let log = log("service");
        let service =
            Service::start(&shell("exec sleep 30"), Life::UntilStopped, &log).expect("starts");
        assert!(service.recorded.lives());
        let stranger = Recorded { birth: "another".into(), ..service.recorded.clone() };
        assert!(!stranger.lives());
        stranger.stop().expect("stopping a stranger touches nobody");
        assert!(service.recorded.lives());
        service.recorded.stop().expect("stops");
        service.recorded.stop().expect("stopping twice is fine");
        fs::remove_file(log).expect("removable");
    }

    #[test]
    fn a_leashed_service_ends_when_its_owner_lets_go() {
        let log = log("leash");
        let mut service =
            Service::start(&shell("echo $$; exec sleep 30"), Life::OnLeash, &log).expect("starts");
        let spoken = || fs::read_to_string(&log).unwrap_or_default();
        service.wait_until(Duration::from_secs(5), || !spoken().is_empty()).expect("speaks");
        let pid: u32 = spoken().trim().parse().expect("a pid");
        assert!(birth(pid).is_some());
        drop(service);
        assert_eq!(birth(pid), None);
        fs::remove_file(log).expect("removable");
    }

    #[test]
    fn what_a_service_has_started_is_found_for_as_long_as_it_lives() {
        let log = log("left");
        // A child of its own, as a local cloud has them.
        let script = "sleep 30.25 & echo $!; wait";
        let mut service = Service::start(&shell(script), Life::UntilStopped, &log).expect("starts");
        let spoken = || fs::read_to_string(&log).unwrap_or_default();
        service.wait_until(Duration::from_secs(5), || !spoken().is_empty()).expect("speaks");
        let child = format!("{} sleep 30.25", spoken().trim());
        let is_left = || started_here().contains(&child);
        service.wait_until(Duration::from_secs(5), is_left).expect("the child is found");
        service.recorded.stop().expect("stops");
        let asked = Instant::now();
        while is_left() && asked.elapsed() < GRACE_MAX {
            thread::sleep(POLL);
        }
        assert!(!is_left());
        fs::remove_file(log).expect("removable");
    }

    #[test]
    fn a_service_that_ends_at_once_is_noticed() {
        let log = log("early");
        for life in [Life::UntilStopped, Life::OnLeash] {
            let mut service = Service::start(&shell("exit 7"), life, &log).expect("starts");
            let outcome = service.wait_until(Duration::from_secs(5), || false);
            assert_eq!(outcome, Err("ended at once (exit status: 7)".to_owned()));
        }
        fs::remove_file(log).expect("removable");
    }

    #[test]
    fn a_wished_port_is_taken_only_when_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("an address").port();
        assert_ne!(free_port(&[Some(port)]).expect("another"), port);
        drop(taken);
        assert_eq!(free_port(&[None, Some(port)]).expect("the wished one"), port);
    }
}
