use super::*;

const BASE: &str = "[node]\norg = \"某某公司\"\n[http]\ninsecure_http = true\n";

fn parse(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::parse(Path::new("/n"), text, &env, &flags)
}

#[test]
fn defaults_are_safe_and_local() {
    let it = parse(BASE, &[], &[]).unwrap();
    assert_eq!(it.http.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(it.http.public_url, "http://localhost:8443");
    assert_eq!(it.node.did.as_str(), "did:web:localhost%3A8443");
    assert_eq!(it.evidence.origin, "localhost:8443/evidence");
    assert!(matches!(&it.store, Store::Sqlite(path) if path == Path::new("/n/data/tidm.db")));
    assert_eq!(it.objects, Objects::Local { dir: "/n/data/objects".into() });
    assert!(!it.peers.allow_private_addresses);
    assert!(it.http.admit(false).is_ok());
}

#[test]
fn flags_win_over_environment_over_file() {
    let text = format!("{BASE}[evidence]\ncheckpoint_ms = 100\n");
    let ms = |env: &[(&str, &str)], flags: &[(&str, &str)]| {
        parse(&text, env, flags).unwrap().evidence.interval.as_millis()
    };
    let env = [
        ("TIDM_EVIDENCE_CHECKPOINT_MS", "200"),
        ("PATH", "x"),
        ("TIDM_PORT_8443_TCP", "tcp://10.0.0.1"),
    ];
    assert_eq!(ms(&[], &[]), 100);
    assert_eq!(ms(&env, &[]), 200);
    assert_eq!(ms(&env, &[("evidence.checkpoint_ms", "300")]), 300);
}

#[test]
fn lists_and_custodians_fit_in_variables() {
    let it = parse(
        BASE,
        &[
            ("TIDM_NODE_ROLES", "custodian, provider"),
            ("TIDM_EVIDENCE_CUSTODIANS", "a+1+k https://a.example; b+2+k https://b.example/"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(it.node.roles, [Role::Provider, Role::Custodian].into());
    assert_eq!(
        it.evidence.custodians[1],
        Custodian { url: "https://b.example".into(), vkey: "b+2+k".into() }
    );
    assert_eq!(it.evidence.quorum, 2);
}

/// (file beyond [`BASE`], environment, flags) → what key and English text the refusal names.
#[test]
fn refusals_name_key_reason_and_next_step() {
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: &[(&str, Pairs, Pairs, &str, &str)] = &[
        ("[htpp]\nlisten = \"x\"", &[], &[], "htpp.listen", "did you mean http.listen?"),
        ("[evidence]\nqorum = 1", &[], &[], "evidence.qorum", "did you mean evidence.quorum?"),
        ("[identity]\nmode = \"open\"", &[], &[], "identity.mode", "did, dcp, mtls or development"),
        ("[identity]\nclaims = true", &[], &[], "identity.mode", "identity.claims is for"),
        ("[attest]\nmaker = \"sgx\"", &[], &[], "attest.maker", "none, tsm or tpm"),
        ("[attest]\ntsm_root = \"/x\"", &[], &[], "attest.tsm_root", "attest.maker is not tsm"),
        ("[attest]\nmaker = \"tpm\"", &[], &[], "attest.tpm_key", "not the handle"),
        (
            "[attest]\nmaker = \"tpm\"\ntpm_key = \"0x81010002\"\ntpm_pcrs = [\"24\"]",
            &[],
            &[],
            "attest.tpm_pcrs",
            "from 0 to 23",
        ),
        (
            "[attest]\nmaker = \"tpm\"\ntpm = \"host:2321\"",
            &[],
            &[],
            "attest.tpm",
            "emulator's address",
        ),
        ("[identity]\ntokens_file = \"x\"", &[], &[], "identity.mode", "set identity.mode"),
        (
            "public_url = \"http://localhost:8443/node\"\n[flight]\nenabled = true",
            &[],
            &[],
            "flight.enabled",
            "host and port only",
        ),
        ("[tc609]\nenabled = true", &[], &[], "tc609.enabled", "is missing"),
        ("[tc609]\nconnector = \"5\"", &[], &[], "tc609.connector", "32 characters"),
        (
            "[tc609]\nplatform = \"591310000MA0DEMQ19R31011BH95JZY4\"",
            &[],
            &[],
            "tc609.platform",
            "begins with 4",
        ),
        ("[tc609]\ncallers = [\"did:web:a\"]", &[], &[], "tc609.callers", "CODE=DID"),
        ("[zebra]\nunrelated_thing = 1", &[], &[], "zebra.unrelated_thing", "there is no such key"),
        ("", &[("TIDM_HTTP_LISTN", "x")], &[], "TIDM_HTTP_LISTN", "did you mean TIDM_HTTP_LISTEN?"),
        ("", &[], &[("http.lissten", "x")], "http.lissten", "did you mean http.listen?"),
        ("", &[], &[("http.listen", "8443")], "http.listen", "not ADDRESS:PORT"),
        ("", &[], &[("http.listen", "0.0.0.0:8443")], "http.listen", "no TLS"),
        ("", &[], &[("http.insecure_http", "false")], "http.tls_cert", "plain HTTP is not allowed"),
        ("", &[], &[("http.insecure_http", "maybe")], "http.insecure_http", "for example false"),
        ("", &[], &[("http.tls_cert", "c")], "http.tls_key", "come together"),
        (
            "",
            &[],
            &[("http.tls_cert", "c"), ("http.tls_key", "k")],
            "http.insecure_http",
            "contradicts",
        ),
        (
            "",
            &[],
            &[
                ("http.insecure_http", "0"),
                ("http.tls_cert", "c"),
                ("http.tls_key", "k"),
                ("http.listen", "0.0.0.0:1"),
            ],
            "http.public_url",
            "how others reach",
        ),
        ("", &[], &[("http.public_url", "http://example.com")], "http.public_url", "must be https"),
        ("", &[], &[("http.public_url", "https://a:b@example.com")], "http.public_url", "no user"),
        ("", &[("TIDM_NODE_ORG", " ")], &[], "node.org", "tidm init"),
        (
            "",
            &[("TIDM_NODE_CREDIT_CODE", "91350100M000100Y44")],
            &[],
            "node.credit_code",
            "business licence",
        ),
        ("", &[("TIDM_NODE_ROLES", "king")], &[], "node.roles", "one or more of provider"),
        ("", &[("TIDM_NODE_ROLES", ",")], &[], "node.roles", "needs a role"),
        ("", &[("TIDM_NODE_LANG", "fr")], &[], "node.lang", "zh or en"),
        ("", &[("TIDM_NODE_DID", "web:x")], &[], "node.did", "not a DID"),
        (
            "[store]\nurl = \"mysql://root:secret@h/d\"",
            &[],
            &[],
            "store.url",
            "SQLite and PostgreSQL",
        ),
        (
            "[store]\nurl = \"postgres://h/d\"",
            &[("TIDM_NODE_ROLES", "provider,custodian")],
            &[],
            "node.roles",
            "belongs to one process",
        ),
        (
            "[objects]\nendpoint = \"https://s3\"",
            &[],
            &[],
            "objects.endpoint",
            "without objects.bucket",
        ),
        ("[objects]\nbucket = \"b\"", &[], &[], "objects.endpoint", "needed"),
        ("[objects]\nbucket = \"b\"\ndir = \"d\"", &[], &[], "objects.dir", "contradicts"),
        ("[space]\nmembers = \"https://m.example/l.json\"", &[], &[], "space.members", "operator"),
        ("[evidence]\nquorum = 1", &[], &[], "evidence.quorum", "from 0 to 0"),
        ("[evidence]\norigin = \"https://x\"", &[], &[], "evidence.origin", "no scheme"),
        ("[evidence]\ncheckpoint_ms = 1", &[], &[], "evidence.checkpoint_ms", "from 50 to 60000"),
        ("[evidence]\ncheckpoint_ms = \"soon\"", &[], &[], "evidence.checkpoint_ms", "wrong type"),
        (
            "[evidence]\ncustodians = [{ url = \"https://x\" }]",
            &[],
            &[],
            "evidence.custodians",
            "vkey",
        ),
        (
            "[evidence]\ncustodians = [{ url = \"https://x\", vkey = \"v\" }]",
            &[],
            &[],
            "evidence.custodians",
            "verifier key",
        ),
        ("[limits]\nworkers = 0", &[], &[], "limits.workers", "from 1 to 256"),
        ("[limits]\nworkers = 18446744073709551615", &[], &[], "tidm.toml", "TOML"),
        ("not toml", &[], &[], "tidm.toml", "not valid TOML"),
    ];
    for (text, env, flags, key, says) in cases {
        let error = parse(&format!("{BASE}{text}"), env, flags).unwrap_err();
        let en = error.render(Lang::En);
        assert_eq!(&error.key, key, "{en}");
        assert!(en.contains(says), "{en:?} lacks {says:?}");
        assert!(en.contains("next: ") && error.render(Lang::Zh).contains("下一步"), "{en}");
        assert!(!en.contains("secret"), "{en}");
    }
}

#[test]
fn beyond_loopback_an_administrator_comes_first() {
    let tls: &[(&str, &str)] = &[
        ("http.insecure_http", "false"),
        ("http.tls_cert", "c"),
        ("http.tls_key", "k"),
        ("http.listen", "0.0.0.0:8443"),
        ("http.public_url", "https://node.example.com/"),
    ];
    let it = parse(BASE, &[], tls).unwrap();
    assert_eq!(it.node.did.as_str(), "did:web:node.example.com");
    assert!(it.http.admit(true).is_ok());
    assert!(it.http.admit(false).unwrap_err().to_string().contains("administrator"));
}

#[test]
fn every_key_is_readable_and_templated() {
    let text = template::render(&[("node.org", template::quoted("a \"b\" 公司"))]);
    let (table, _) = layers::gather(&text, &BTreeMap::new(), &[]).unwrap();
    assert_eq!(table["node"]["org"].as_str(), Some("a \"b\" 公司"));
    // Uncomment each example: the table of keys and the raw structs agree on names and types.
    for it in key::KEYS {
        let line = format!("[{}]\n{} = {}\n", it.section, it.name, it.example);
        let (table, from) = layers::gather(&line, &BTreeMap::new(), &[]).unwrap();
        raw::Raw::of(table, &from).unwrap_or_else(|e| panic!("{}: {e}", it.path()));
        assert!(text.contains(&format!("{} = ", it.name)));
        assert!(!it.zh.is_ascii() && it.en.is_ascii(), "{}", it.path());
    }
}

#[test]
fn a_database_password_is_not_shown() {
    let it = parse(&format!("{BASE}[store]\nurl = \"postgres://u:secret@h/d\""), &[], &[]).unwrap();
    assert_eq!(format!("{:?}", it.store), "Postgres(\"postgres://u:***@h/d\")");
}

#[test]
fn a_directory_without_a_node_says_so() {
    let dir = std::env::temp_dir().join(format!("tidm-no-node-{}", std::process::id()));
    let error = Config::load(&dir, [("PATH".to_owned(), "x".to_owned())], &[]).unwrap_err();
    assert!(error.render(Lang::En).contains("no node's directory"), "{error}");
    assert!(error.render(Lang::En).contains("tidm init"), "{error}");
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let env = [set("TIDM_NODE_ORG", "x"), set("TIDM_HTTP_INSECURE_HTTP", "true")];
    assert!(Config::load(&dir, env, &[]).is_ok(), "variables alone are a configuration");
}

proptest::proptest! {
    /// Whatever a file, a variable or a flag holds: settings, or an error that names a key and a next step.
    #[test]
    fn hostile_settings_are_errors(
        line in "(\\[?\\[?[a-z_.]{0,12}\\]?\\]? ?=? ?[ -~]{0,24}\n){0,6}",
        which in 0..key::KEYS.len(),
        value in "\\PC{0,40}",
    ) {
        let it = &key::KEYS[which];
        let path = it.path();
        let quoted = format!("{BASE}[{}]\n{} = {value}", it.section, it.name);
        for found in [
            parse(&line, &[], &[]),
            parse(&format!("{BASE}{line}"), &[], &[]),
            parse(&quoted, &[], &[]),
            parse(BASE, &[], &[(&path, &value)]),
        ] {
            if let Err(error) = found {
                let en = error.render(Lang::En);
                proptest::prop_assert!(!error.key.is_empty() && en.contains("next: "), "{en}");
            }
        }
    }
}

/// A claim proves nothing, so that it is taken where nobody from outside can write one.
#[test]
fn claims_are_for_loopback() {
    let text = "[node]\norg = \"T\"\n[http]\nlisten = \"10.0.0.7:8443\"\npublic_url = \"https://a.example\"\n\
                tls_cert = \"c\"\ntls_key = \"k\"\n[identity]\nmode = \"development\"\n";
    let tokens = format!("{text}tokens_file = \"t\"\n");
    let it = parse(&tokens, &[], &[]).unwrap().identity;
    assert_eq!(it, Mode::Development { claims: false, tokens: Some("/n/t".into()) });
    let refused = parse(&format!("{text}claims = true\n"), &[], &[]).unwrap_err();
    assert_eq!(refused.key, "identity.claims");
}

/// Members are those of the list where there is one, and otherwise whoever shows a credential.
#[test]
fn without_a_list_credentials_make_members() {
    assert_eq!(parse(BASE, &[], &[]).unwrap().identity, Mode::Dcp);
    let listed = format!("{BASE}[space]\nmembers = \"m.jws\"\noperator = \"did:web:o.example\"\n");
    assert_eq!(parse(&listed, &[], &[]).unwrap().identity, Mode::Did);
}

const SECURED: &str = "[node]\norg = \"T\"\n[http]\ntls_cert = \"c\"\ntls_key = \"k\"\n";

/// A mode that is half configured opens nothing: each key belongs to its mode, and the mode to TLS.
#[test]
fn certificates_need_tls_and_authorities() {
    let text = format!(
        "{SECURED}[identity]\nmode = \"mtls\"\nclient_ca = \"ca\"\nclient_crls = [\"a\", \"b\"]\n"
    );
    let it = parse(&text, &[], &[]).unwrap();
    let authorities =
        Authorities { ca: "/n/ca".into(), crls: vec!["/n/a".into(), "/n/b".into()], names: None };
    assert_eq!(it.identity, Mode::Mtls(authorities));
    assert_eq!(it.client_certificate, Some(("/n/c".into(), "/n/k".into())));
    let own = format!("{text}client_cert = \"x\"\nclient_key = \"y\"\n");
    let own = parse(&own, &[], &[]).unwrap().client_certificate;
    assert_eq!(own, Some(("/n/x".into(), "/n/y".into())));
    // Nobody else shows a certificate to servers that ask for one.
    assert_eq!(parse(SECURED, &[], &[]).unwrap().client_certificate, None);
    for (text, key) in [
        (format!("{SECURED}[identity]\nmode = \"mtls\"\n"), "identity.client_ca"),
        (format!("{BASE}[identity]\nmode = \"mtls\"\nclient_ca = \"ca\"\n"), "identity.mode"),
        (format!("{SECURED}[identity]\nclient_ca = \"ca\"\n"), "identity.mode"),
        (format!("{SECURED}[identity]\nclient_names = \"n\"\n"), "identity.mode"),
        (
            format!("{SECURED}[identity]\nclient_cert = \"x\"\nclient_key = \"y\"\n"),
            "identity.mode",
        ),
        (format!("{text}client_cert = \"x\"\n"), "identity.client_key"),
        (format!("{text}client_key = \"x\"\n"), "identity.client_cert"),
        (format!("{text}claims = true\n"), "identity.mode"),
        (format!("{SECURED}[identity]\nmode = \"tls\"\n"), "identity.mode"),
    ] {
        assert_eq!(parse(&text, &[], &[]).unwrap_err().key, key, "{text}");
    }
}

#[test]
fn further_spaces_have_modes_of_their_own() {
    let also = "{ mode = \"mtls\", members = \"m\", operator = \"did:web:o\", client_ca = \"ca\" }";
    let text = format!("{SECURED}[identity]\nmode = \"dcp\"\n[space]\nalso = [{also}]\n");
    let it = parse(&text, &[], &[]).unwrap();
    let spaces: Vec<_> = it.spaces().collect();
    let operator = Did::parse("did:web:o").unwrap();
    assert!(matches!(
        spaces.as_slice(),
        [(None, None, Mode::Dcp), (Some(Members::File(list)), Some(by), Mode::Mtls(_))]
            if list == Path::new("/n/m") && **by == operator
    ));
    assert!(it.client_certificate.is_some(), "a further space may ask for it");
    // A variable says the same.
    let value = "mode=mtls members=m operator=did:web:o client_ca=ca client_crls=x,y; mode=dcp operator=did:web:p";
    let it = parse(SECURED, &[("TIDM_SPACE_ALSO", value)], &[]).unwrap();
    assert_eq!(it.space.also.len(), 2);
    assert!(matches!(&it.space.also[0].mode, Mode::Mtls(it) if it.crls.len() == 2));
    for wrong in [
        "mode=mtls members=m operator=did:web:o",
        "mode=did operator=did:web:o",
        "mode=did members=m",
        "members=m operator=did:web:o",
        "mode=development members=m operator=did:web:o",
        "mode=did members=m operator=nobody",
        "mode=did members=m operator=did:web:o client_ca=ca",
        "mode=did mode=did members=m operator=did:web:o",
        "mode did",
    ] {
        let refused = parse(SECURED, &[("TIDM_SPACE_ALSO", wrong)], &[]).unwrap_err();
        assert_eq!(refused.key, "space.also", "{wrong}: {refused}");
    }
    let text = format!("{BASE}[space]\nalso = [{also}]\n");
    assert_eq!(parse(&text, &[], &[]).unwrap_err().key, "space.also", "without TLS");
}
