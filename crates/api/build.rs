//! Two ways to a smaller program, for the linker that Rust brings for this target. Identical functions are kept once: a
//! twentieth. Addresses that the loader corrects are written in the short form: another twentieth, and glibc 2.36 or newer is
//! needed to run it, which the images bring.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script what it builds for by the environment")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
