//! What the README promises.

const README: &str = include_str!("../README.md");

#[test]
fn the_configuration_table_is_the_programs_own() {
    let table = freehunt_config::settings_markdown();
    assert!(README.contains(table.trim()), "paste the output of `freehunt-api settings` into the README:\n{table}");
}
