//! RDF as a suite writes it: triples by subject, in the order of the file.

use std::collections::HashMap;
use std::path::Path;

use oxrdf::{NamedOrBlankNode, Term};
use oxttl::TurtleParser;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Node(String),
    Literal { text: String, datatype: String },
}

/// Triples of one or several files.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph(HashMap<String, Vec<(String, Object)>>);

impl Graph {
    pub(super) fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let mut out = Self::default();
        for triple in TurtleParser::new().for_slice(&bytes) {
            let triple = triple.unwrap_or_else(|why| panic!("{}: {why}", file.display()));
            let subject = match triple.subject {
                NamedOrBlankNode::NamedNode(it) => it.into_string(),
                NamedOrBlankNode::BlankNode(it) => format!("{}#{it}", file.display()),
            };
            let object = match triple.object {
                Term::NamedNode(it) => Object::Node(it.into_string()),
                Term::BlankNode(it) => Object::Node(format!("{}#{it}", file.display())),
                Term::Literal(it) => Object::Literal {
                    text: it.value().to_owned(),
                    datatype: it.datatype().as_str().to_owned(),
                },
            };
            out.0.entry(subject).or_default().push((triple.predicate.into_string(), object));
        }
        out
    }

    /// Every `*.ttl` of a folder, each by itself.
    pub(super) fn folder(path: &Path) -> Vec<Self> {
        let mut files: Vec<_> = std::fs::read_dir(path)
            .unwrap_or_else(|why| panic!("{}: {why}", path.display()))
            .map(|it| it.unwrap().path())
            .filter(|it| it.extension().is_some_and(|it| it == "ttl"))
            .collect();
        files.sort();
        files.iter().map(|it| Self::read(it)).collect()
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        let mut out = self.clone();
        for (subject, said) in &other.0 {
            out.0.entry(subject.clone()).or_default().extend(said.iter().cloned());
        }
        out
    }

    pub(super) fn objects<'a>(
        &'a self,
        subject: &str,
        predicate: &'a str,
    ) -> impl Iterator<Item = &'a Object> {
        let said = self.0.get(subject).map_or(&[][..], Vec::as_slice);
        said.iter().filter(move |(it, _)| it == predicate).map(|(_, object)| object)
    }

    pub(super) fn nodes(&self, subject: &str, predicate: &str) -> Vec<String> {
        let node = |it: &Object| match it {
            Object::Node(it) => Some(it.clone()),
            Object::Literal { .. } => None,
        };
        self.objects(subject, predicate).filter_map(node).collect()
    }

    /// The only node under a predicate.
    pub(super) fn node(&self, subject: &str, predicate: &str) -> Option<String> {
        let all = self.nodes(subject, predicate);
        assert!(all.len() < 2, "{subject} has several {predicate}");
        all.into_iter().next()
    }

    pub(super) fn text(&self, subject: &str, predicate: &str) -> Option<String> {
        self.objects(subject, predicate).find_map(|it| match it {
            Object::Literal { text, .. } => Some(text.clone()),
            Object::Node(_) => None,
        })
    }

    /// Subjects of a type.
    pub(super) fn of_type(&self, class: &str) -> Vec<String> {
        let is = |it: &&String| self.nodes(it, super::TYPE).iter().any(|it| it == class);
        let mut all: Vec<String> = self.0.keys().filter(is).cloned().collect();
        all.sort();
        all
    }

    pub(super) fn says(&self, subject: &str) -> bool {
        self.0.contains_key(subject)
    }

    /// What can be reached from a node, itself included.
    pub(super) fn reach(&self, from: &str) -> Vec<String> {
        let mut seen = vec![from.to_owned()];
        let mut at = 0;
        while let Some(it) = seen.get(at).cloned() {
            at += 1;
            for (_, object) in self.0.get(&it).into_iter().flatten() {
                if let Object::Node(next) = object
                    && self.says(next)
                    && !seen.contains(next)
                {
                    seen.push(next.clone());
                }
            }
        }
        seen
    }
}
