//! Freed memory: what was secret is zero, not merely freed.
//!
//! Linux only, through `/proc`. glibc writes up to 16 bytes of its own at the beginning of what was freed, so those are not
//! looked at.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64ct::{Base64, Encoding};
use mcp_token_lifecycle::{
    AccessKeys, AuthorizeRequest, CodeChallenge, Keyring, MasterKey, MemoryStore, RedeemRequest, RefreshRequest,
    TokenIssuer,
};

use crate::search::{ends, find_in_bytes, keys_of, master_key, secret_bytes, secret_chars, sha256};
use crate::support::*;

const ALLOCATOR: usize = 16;

/// What is at `address` once `value`, which owns it, has been dropped.
fn after_drop<T>(value: T, address: *const u8, length: usize) -> Vec<u8> {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut bytes = vec![0xff; length];
    // As a number: nothing is kept borrowed.
    let address = address as usize as u64;
    drop(value);
    memory.read_exact_at(&mut bytes, address).unwrap();
    bytes.split_off(ALLOCATOR)
}

#[test]
fn token_memory_is_zero_after_drop() {
    let bench = bench(mcp_token_lifecycle::RotationPolicy::standard());
    let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
    let code = block_on(bench.issuer.authorize(request)).unwrap();
    let (address, length) = (code.expose().as_ptr(), code.expose().len());
    assert_eq!(after_drop(code, address, length), vec![0; length - ALLOCATOR]);

    let response = bench.login();
    let (address, length) = (rt(&response).as_ptr(), rt(&response).len());
    assert_eq!(after_drop(response.refresh_token, address, length), vec![0; length - ALLOCATOR]);
    let (address, length) = (response.access_token.expose().as_ptr(), response.access_token.expose().len());
    assert_eq!(after_drop(response.access_token, address, length), vec![0; length - ALLOCATOR]);

    // The control: a string that is no secret.
    let token = rt(&bench.login()).to_owned();
    let copy = token.clone();
    let (address, length) = (copy.as_ptr(), copy.len());
    assert_eq!(after_drop(copy, address, length), token.as_bytes()[ALLOCATOR..]);
}

#[test]
fn master_key_memory_is_zero_after_drop() {
    let key = Box::new(MasterKey::from_bytes(master_key(1)));
    let address: *const MasterKey = &*key;
    assert_eq!(after_drop(key, address.cast(), 32), [0; 32 - ALLOCATOR]);
    let text = MasterKey::from_bytes(master_key(1)).to_base64();
    let (address, length) = (text.as_ptr(), text.len());
    assert_eq!(after_drop(text, address, length), vec![0; length - ALLOCATOR]);

    let copy = Box::new(master_key(1));
    let address = copy.as_ptr();
    assert_eq!(after_drop(copy, address, 32), master_key(1)[ALLOCATOR..], "the control");
}

const CHILD: &str = "LEAKS_MEMORY_CHILD";
const PLANT: &str = "LEAKS_MEMORY_PLANT";

/// The same bytes in each process, so that the parent knows what the child drew.
#[derive(Default)]
struct Seeded {
    drawn: AtomicU64,
    /// What was drawn at the length of a family's secret, if that is to be remembered.
    secrets: Option<Arc<Mutex<Vec<Vec<u8>>>>>,
}

impl Fill for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Dry> {
        for chunk in bytes.chunks_mut(32) {
            let number = self.drawn.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&sha256(number.to_be_bytes())[..chunk.len()]);
        }
        if let Some(secrets) = self.secrets.as_ref().filter(|_| bytes.len() == 32) {
            secrets.lock().unwrap().push(bytes.to_vec());
        }
        Ok(())
    }
}

/// So many that a list of them grows.
const KEYS: u8 = 6;

/// A keyring from a file, its access keys, a login, rotations, a revocation, and the end of all of it; every future in a box, as servers have
/// them. `see` gets to see every token.
fn life(keys: &Path, rng: Seeded, mut see: impl FnMut(&str)) {
    let keyring = Keyring::from_file(keys).unwrap();
    drop(AccessKeys::parse(&keyring.access_keys().export()).unwrap());
    drop(AccessKeys::parse(&keyring.access_keys().for_resource(&resource()).export()).unwrap());
    let issuer = TokenIssuer::new(MemoryStore::new(), keyring).with_rng(FillRng(rng)).with_clock(TestClock::default());
    let client = client();
    let request = AuthorizeRequest::new(grant(), CodeChallenge::of_verifier(VERIFIER), REDIRECT);
    let code = block_on(Box::pin(issuer.authorize(request))).unwrap();
    see(code.expose());
    let request = RedeemRequest::new(&client, code.expose(), REDIRECT, VERIFIER);
    let mut current = verdict(block_on(Box::pin(issuer.redeem(&request)))).unwrap();
    for _ in 0..5 {
        see(rt(&current));
        see(current.access_token.expose());
        assert!(block_on(Box::pin(issuer.introspect(rt(&current)))).unwrap().is_active());
        let request = RefreshRequest::new(&client, rt(&current));
        current = verdict(block_on(Box::pin(issuer.refresh(&request)))).unwrap();
    }
    block_on(Box::pin(issuer.revoke(&client, rt(&current), None))).unwrap();
}

/// Not a test: what the child runs. It says where its stack is, and waits.
#[test]
fn child() {
    let Some(keys) = env::var_os(CHILD) else { return };
    let plant = env::var_os(PLANT).is_some();
    let mut copies = Vec::new();
    life(Path::new(&keys), Seeded::default(), |token| copies.extend(plant.then(|| token.to_owned())));
    drop(copies);
    let here = 0_u8;
    println!("\nstack {}", &raw const here as usize);
    std::io::stdin().read_exact(&mut [0]).unwrap();
}

/// What process `id` has in memory that it can write to, but for its stacks, of which one holds the address `stack`.
fn heap_of(id: u32, stack: u64) -> Vec<u8> {
    let memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let mut heap = Vec::new();
    for line in fs::read_to_string(format!("/proc/{id}/maps")).unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        if rest.starts_with("rw") && !rest.ends_with("[stack]") && !(from..to).contains(&stack) {
            let begin = heap.len();
            heap.resize(begin + (to - from) as usize, 0);
            memory.read_exact_at(&mut heap[begin..], from).unwrap();
        }
    }
    heap
}

/// The heap of a child that has lived through [`life`] and dropped everything, copies of the tokens too if it is to `plant` some.
fn heap_of_child(keys: &Path, plant: bool) -> Vec<u8> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "memory::child", "--nocapture", "--test-threads=1"]).env(CHILD, keys);
    if plant {
        command.env(PLANT, "");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stack = lines.find_map(|line| line.unwrap().strip_prefix("stack ").map(|at| at.parse().unwrap())).unwrap();
    let heap = heap_of(child.id(), stack);
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    heap
}

#[test]
fn heap_holds_no_key_or_token_after_drop() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let text: String = (1..=KEYS).map(|n| format!("{n}:{}\n", Base64::encode_string(&master_key(n)))).collect();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&keys).unwrap();
    file.write_all(text.as_bytes()).unwrap();

    // The same life in this process, so that the child's holds nothing that is there only to be searched for.
    let mut secrets: Vec<Vec<u8>> = (1..=KEYS).flat_map(|n| keys_of(master_key(n))).map(Vec::from).collect();
    let spelled = secrets.iter().map(|key| Base64::encode_string(key).into_bytes()).collect::<Vec<_>>();
    secrets.extend(spelled);
    let drawn = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let rng = Seeded { secrets: Some(Arc::clone(&drawn)), ..Seeded::default() };
    life(&keys, rng, |token| secrets.extend([secret_chars(token).into(), secret_bytes(token)]));
    // The secret of the family.
    assert_eq!(drawn.lock().unwrap().len(), 1);
    secrets.append(&mut drawn.lock().unwrap());
    let needles: Vec<_> = secrets.iter().flat_map(|secret| ends(secret)).collect();

    let heap = heap_of_child(&keys, false);
    println!("{} needles, {} bytes", needles.len(), heap.len());
    assert_eq!(find_in_bytes(&heap, &needles), None);
    assert!(find_in_bytes(&heap_of_child(&keys, true), &needles).is_some(), "the planted copies must be seen");
}
