//! Identical functions are kept once: the program is a twentieth smaller. Only the linker that Rust brings for this target
//! knows how.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script what it builds for by the environment")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
