//! What may be said on the command line, and what comes of it.

use clap::{CommandFactory as _, Parser as _};
use serde_json::json;

use crate::cli::Cli;
use crate::show;

const ID: &str = "urn:uuid:0190b6a0-0000-7000-8000-000000000000";

#[test]
fn lines_parse_or_are_refused() {
    for (line, ok) in [
        ("init --org 甲", true),
        ("init", false),
        ("serve --setup-token-file t --set http.listen=127.0.0.1:1", true),
        ("worker", true),
        ("setup --token-file t", true),
        ("setup", false),
        ("setup --token a --token-file b", false),
        (
            "publish a.csv b.csv --to did:web:a --to did:web:b --uses 3 --columns a,b --as query,sealed-table",
            true,
        ),
        ("publish a.csv --lenient", true),
        ("publish a.csv --lenient 5 --no-export --delete-after-use", true),
        ("publish a.csv --no-export --export", false),
        ("publish", false),
        ("product list --limit 3", true),
        ("product show x", true),
        ("catalog search 轴承 温度", true),
        (
            "catalog search 轴承 --format query --grade general --provider did:web:a --max-price 100 --free",
            true,
        ),
        ("catalog search --free", true),
        ("catalog search --max-price", false),
        ("catalog crawl", true),
        ("psi run x --mine a.csv --table --out b.csv", true),
        ("psi table prepare x --key a:text;first --detach", true),
        ("psi table prepare", false),
        ("psi table list --limit 3", true),
        ("psi table show x --wait 3", true),
        ("psi table drop x", true),
        ("psi table drop", false),
        ("catalog members", true),
        ("catalog search 轴承 --limit 3", true),
        ("catalog watch 轴承 --after 7 --free", true),
        ("catalog watch --after x", false),
        ("catalog subscribe https://a.example/x 轴承 --grade general", true),
        ("catalog subscribe", false),
        ("catalog subscriptions", true),
        ("catalog unsubscribe x", true),
        ("catalog unsubscribe", false),
        ("contract request did:web:a p --wait 5 --uses 2", true),
        ("contract request did:web:a", false),
        ("contract list --negotiations", true),
        ("contract inbox --limit 3", true),
        ("contract reject n --reason x", true),
        ("contract reject", false),
        ("contract approve n", true),
        ("contract counter n --uses 2", true),
        ("contract terminate n --reason x", true),
        ("contract revoke c", true),
        ("contract suspend c --reason why", true),
        ("contract resume c", true),
        ("contract resume c --reason why", false),
        ("contract suspend c --code 123456", true),
        ("contract resume c --code 123456", true),
        ("contract consent c --code 123456", true),
        ("contract recall c", true),
        ("contract copies c", true),
        ("contract end c", true),
        ("contract tc609 c", true),
        ("contract archive c --out f", true),
        ("contract archive c", false),
        ("contract archive --check f", true),
        ("contract archive c --check f", false),
        ("use flight c --wait 5", true),
        ("use flight", false),
        ("transfer start c --as sealed-table", true),
        ("transfer start c", false),
        ("transfer start c --as plain --push", true),
        ("transfer start c --as plain --bucket b.json", true),
        ("transfer start c --as plain --push --bucket b.json", false),
        ("transfer suspend t", true),
        ("transfer resume t", true),
        ("publish a.csv --rate 10MB --parallel 4", true),
        ("publish a.csv --rate fast", false),
        ("publish a.csv --derive --next-policy", true),
        ("publish a.csv --derive --no-derive", false),
        ("publish a.csv --derived-from c --derived-from d", true),
        ("use query c SELECT --where here", true),
        ("use query c SELECT --where there", false),
        ("use open c --export out", true),
        ("use open c", false),
        ("use open c --export out --exec cat", false),
        ("evidence receipt f", true),
        ("evidence verify f --log k", true),
        ("evidence verify f", false),
        ("evidence key", true),
        ("audit c -o json", true),
        ("lineage x --lang en", true),
        ("space members sign m.toml", true),
        ("space create 空间", true),
        ("space create", false),
        ("space invite did:web:a --role provider --space s", true),
        ("space invite", false),
        ("space join tidm-invitation:x", true),
        ("space revoke did:web:a", true),
        ("space list --space s", true),
        ("psi run c --mine a.csv", true),
        ("psi run c d e --mine a.csv --key no", true),
        ("psi run --mine a.csv", false),
        ("psi local --mine a --theirs b --also c --also d --key id", true),
        ("doctor", true),
        ("completion bash", true),
        ("completion word", false),
        ("nonsense", false),
    ] {
        let parsed = Cli::try_parse_from(std::iter::once("tidm").chain(line.split(' ')));
        assert_eq!(parsed.is_ok(), ok, "{line}");
    }
    let parsed = Cli::try_parse_from(["tidm", "use", "open", ID, "--exec", "cat {}"]);
    assert!(parsed.is_ok());
}

#[test]
fn every_command_has_an_example() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        if command.get_subcommands().next().is_none()
            && !command.is_hide_set()
            && command.get_name() != "help"
        {
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains("tidm "), "{path} shows no example");
        }
        for inner in command.get_subcommands() {
            walk(inner, &path);
        }
    }
    let command = Cli::command();
    command.clone().debug_assert();
    walk(&command, "");
}

/// clap knows arguments by name: one of a command's own that is called like a global one would silently be it.
#[test]
fn no_command_takes_a_global_arguments_place() {
    fn walk(command: &clap::Command, globals: &[String], path: &str) {
        for argument in command.get_arguments().filter(|it| !it.is_global_set()) {
            let name = argument.get_id().as_str();
            assert!(!globals.iter().any(|it| it == name), "{path}: {name}");
        }
        for sub in command.get_subcommands() {
            walk(sub, globals, &format!("{path} {}", sub.get_name()));
        }
    }
    let root = Cli::command();
    let globals: Vec<String> = root
        .get_arguments()
        .filter(|it| it.is_global_set())
        .map(|it| it.get_id().to_string())
        .collect();
    assert!(globals.iter().any(|it| it == "url"), "{globals:?}");
    walk(&root, &globals, "tidm");
    let line = ["tidm", "--url", "http://node", "catalog", "subscribe", "https://a.example"];
    assert_eq!(Cli::parse_from(line).global.url.as_deref(), Some("http://node"));
}

#[test]
fn problems_have_their_exit_codes() {
    for (status, party, code) in [
        (401, "caller", 5),
        (403, "caller", 5),
        (403, "rule", 3),
        (410, "rule", 3),
        (404, "caller", 4),
        (422, "caller", 7),
        (429, "caller", 5),
        (503, "node", 6),
        (500, "node", 8),
    ] {
        assert_eq!(
            show::code(&json!({ "status": status, "party": party })),
            code,
            "{status} {party}"
        );
    }
    assert_eq!(show::code(&json!({})), 8);
}
