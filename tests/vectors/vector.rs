//! One file: what goes in, and what comes out.

use std::fmt::Write;

use mcp_token_lifecycle::{
    Binding, FamilyId, Grant, IndexKey, KeyId, Keyring, MasterKey, Record, RecordKey, Resource, Timestamp,
};

use crate::support::forge::Forge;
use crate::support::{resource, scope};

/// A file: pairs of name and value, those that go in and those that come out.
pub struct Vector {
    given: Vec<(String, String)>,
    pub expected: Vec<(String, String)>,
}

impl Vector {
    pub fn read(name: &str) -> Self {
        let path = format!("{}/tests/vectors/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let (given, expected) = text.split_once("\n\n").unwrap();
        let pairs = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let pair = |line: &str| line.split_once(" = ").map(|(name, value)| (name.to_owned(), value.to_owned()));
            lines.map(|line| pair(line).unwrap()).collect()
        };
        Self { given: pairs(given), expected: pairs(expected) }
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.given.iter().chain(&self.expected);
        pairs.filter(move |pair| pair.0 == name).map(|pair| &*pair.1)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn number(&self, name: &str) -> u64 {
        self.get(name).map_or(0, |text| text.parse().unwrap())
    }

    pub fn bytes<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name).map_or([0; N], |text| unhex(text).try_into().unwrap())
    }

    pub fn keyring(&self) -> Keyring {
        match self.get("master_key") {
            Some(_) => {
                Keyring::new(KeyId::new(self.number("key_id") as u32), MasterKey::from_bytes(self.bytes("master_key")))
            }
            None => Keyring::parse(&self.all("keyring").collect::<Vec<_>>().join("\n")).unwrap(),
        }
    }

    pub fn grant(&self) -> Grant {
        let mut resources = self.all("resource").map(|uri| Resource::parse(uri).unwrap());
        let (subject, client_id) =
            (self.get("subject").unwrap_or("user-1"), self.get("client_id").unwrap_or("client-1"));
        let first = resources.next().unwrap_or_else(resource);
        let grant = Grant::new(subject, client_id, scope(self.get("scope").unwrap_or("mcp:read")), first).unwrap();
        let grant = resources.fold(grant, |grant, resource| grant.with_resource(resource).unwrap());
        let claims = self.all("claim").map(|claim| claim.split_once(' ').unwrap());
        claims.fold(grant, |grant, (name, value)| grant.with_claim(name, value).unwrap())
    }

    pub fn binding(&self) -> Option<Binding> {
        let key = self.get("dpop_key").map(|_| Binding::DpopKey(self.bytes("dpop_key")));
        key.or(self.get("certificate").map(|_| Binding::Certificate(self.bytes("certificate"))))
    }

    pub fn record(&self) -> Record {
        Record::new(
            RecordKey::from_bytes(self.bytes("record_key")),
            self.number("record_version"),
            Timestamp::from_unix(self.number("record_expires_at")),
            self.all("record_index").map(|text| IndexKey::from_bytes(unhex(text).try_into().unwrap())).collect(),
            unhex(self.get("record_payload").unwrap()),
        )
    }

    pub fn forge(&self, generation: u64, issued_at: &str) -> String {
        let forge = Forge {
            master: self.bytes("master_key"),
            key_id: self.number("key_id") as u32,
            family: FamilyId::from_bytes(self.bytes("family_id")),
            generation,
            issued_at: Timestamp::from_unix(self.number(issued_at)),
            secret: self.bytes("family_secret"),
        };
        forge.token()
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
