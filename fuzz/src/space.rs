//! Targets in `tidm-space`: short texts that come with every message.

use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::time::Time;

/// Identifiers, DIDs and times: whatever is accepted is accepted again as it was printed.
pub(crate) fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = Id::parse(text) {
        assert!(Id::parse(id.as_str()).is_ok_and(|again| again == id));
    }
    if let Ok(did) = Did::parse(text) {
        // The address of a document never leads out of the host's own path.
        if let Some(location) = did.document_location() {
            assert!(!location.contains("..") || text.contains(".."), "{location}");
        }
    }
    if let Ok(time) = Time::parse(text) {
        assert!(Time::parse(&time.to_string()).is_ok_and(|again| again == time));
    }
}
