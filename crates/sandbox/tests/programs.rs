//! The programs themselves: both can be asked for help, and refuse what they do not know in one line.

use std::process::Command;

#[test]
fn both_programs_explain_themselves() {
    for (program, option) in
        [(env!("CARGO_BIN_EXE_freehunt-sandbox"), "--fresh"), (env!("CARGO_BIN_EXE_stand-ins"), "--webhook-secret")]
    {
        let help = Command::new(program).arg("--help").output().expect("the program can be started");
        assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains(option), "{program}");
        let refusal = Command::new(program).arg("--no-such-option").output().expect("the program can be started");
        let said = String::from_utf8_lossy(&refusal.stderr).into_owned();
        assert!(!refusal.status.success() && said.contains("--no-such-option"), "{program}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
