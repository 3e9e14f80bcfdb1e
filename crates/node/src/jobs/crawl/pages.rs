//! From page to page of a DSP catalogue: `Link` headers that stay at home and lead on (DSP §6.2, RFC 8288).
//!
//! Never follows a page to another host: our token would go there.

/// The target of `rel="next"` in a `Link` header (RFC 8288 §3).
pub(super) fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|one| {
        let (target, parameters) = one.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|it| {
            let value = it.trim().strip_prefix("rel=").unwrap_or_default();
            value.trim_matches('"').split(' ').any(|word| word.eq_ignore_ascii_case("next"))
        });
        next.then(|| target.to_owned())
    })
}

/// The next page's address, if it is at the same scheme, host and port; it may be relative.
pub(super) fn same_origin(current: &str, next: &str) -> Option<String> {
    let current = reqwest::Url::parse(current).ok()?;
    let next = current.join(next).ok()?;
    (next.origin() == current.origin()).then(|| next.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_pages_are_found_and_stay_at_home() {
        for (header, next) in [
            ("<https://a.example/c?x=1>; rel=\"next\"", Some("https://a.example/c?x=1")),
            ("<https://a/p>; rel=\"previous\", <https://a/n>; rel=next", Some("https://a/n")),
            ("</c?x=2>; title=\"a\"; rel=\"last next\"", Some("/c?x=2")),
            ("<https://a/p>; rel=\"previous\"", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(next_link(header).as_deref(), next, "{header}");
        }
        let here = "https://a.example/dsp/catalog/request";
        assert_eq!(same_origin(here, "/c?x=2").as_deref(), Some("https://a.example/c?x=2"));
        for elsewhere in
            ["https://b.example/c", "http://a.example/c", "https://a.example:444/c", "//b.example/"]
        {
            assert_eq!(same_origin(here, elsewhere), None, "{elsewhere}");
        }
    }
}
