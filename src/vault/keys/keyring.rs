//! The local keyring as a key wrapper, and a key wrapper in an `Arc`.

use zeroize::Zeroizing;

use super::wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
use crate::crypto::random::RandomSource;
use crate::crypto::{NONCE, TAG};
use crate::keys::{KeyId, Keyring};
use crate::store::BoxFuture;

/// The prefix of the associated data. Records are sealed with the same subkey, and their associated data begins with a
/// kind, a small number. So no record opens as a wrapped key, and no wrapped key as a record.
const DOMAIN: &[u8] = b"data key ";

/// Wraps a data key as `nonce ‖ XChaCha20-Poly1305(data key)`, under the subkey that seals records. The key id is the
/// number of the [`KeyId`]. Wrapping fails only if the random source fails.
impl KeyWrapper for Keyring {
    fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>> {
        Box::pin(async { Ok(self.primary_id().to_string()) })
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>> {
        Box::pin(async move {
            let nonce: [u8; NONCE] = RandomSource::default().bytes().map_err(WrapError::unavailable)?;
            // Allocated at its final length, so that it never grows and leaves a copy of the key behind.
            let mut bytes = Vec::with_capacity(NONCE + key.as_bytes().len() + TAG);
            bytes.extend_from_slice(&nonce);
            bytes.extend_from_slice(key.as_bytes());
            let ad = [DOMAIN, context].concat();
            let primary = Keyring::primary(self);
            primary.record.seal(&nonce, &ad, &mut bytes, NONCE).ok_or(WrapError::Corrupt)?;
            Ok(WrappedKey::new(primary.id.to_string(), bytes))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a WrappedKey, context: &'a [u8]) -> BoxFuture<'a, Result<DataKey, WrapError>> {
        Box::pin(async move {
            let id = wrapped.key_id().parse().map_err(|_| WrapError::UnknownKey)?;
            let keys = self.get(KeyId::new(id)).ok_or(WrapError::UnknownKey)?;
            let (nonce, sealed) = wrapped.as_bytes().split_first_chunk::<NONCE>().ok_or(WrapError::Corrupt)?;
            let mut sealed = Zeroizing::new(sealed.to_vec());
            let ad = [DOMAIN, context].concat();
            let key = keys.record.open(nonce, &ad, &mut sealed).ok_or(WrapError::Corrupt)?;
            let key: &[u8; 32] = (&*key).try_into().map_err(|_| WrapError::Corrupt)?;
            Ok(DataKey::from_bytes(*key))
        })
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::keys::MasterKey;

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    fn wrap(keyring: &Keyring, context: &[u8]) -> WrappedKey {
        block_on(keyring.wrap(&DataKey::from_bytes([9; 32]), context)).unwrap()
    }

    fn unwrap(keyring: &Keyring, wrapped: &WrappedKey, context: &[u8]) -> Result<[u8; 32], WrapError> {
        block_on(KeyWrapper::unwrap(keyring, wrapped, context)).map(|key| *key.as_bytes())
    }

    #[test]
    fn a_wrapped_key_unwraps_in_its_context_alone() {
        let keyring = Keyring::new(KeyId::new(7), master(1));
        let wrapped = wrap(&keyring, b"here");
        assert_eq!(wrapped.key_id(), block_on(KeyWrapper::primary(&keyring)).unwrap());
        assert_eq!(unwrap(&keyring, &wrapped, b"here").unwrap(), [9; 32]);
        for elsewhere in [&b"there"[..], b"her", b"here ", b""] {
            assert!(matches!(unwrap(&keyring, &wrapped, elsewhere), Err(WrapError::Corrupt)));
        }
    }

    #[test]
    fn a_retired_key_still_unwraps_and_a_dropped_one_does_not() {
        let wrapped = wrap(&Keyring::new(KeyId::new(1), master(1)), b"here");
        let rotated = Keyring::new(KeyId::new(2), master(2)).with_retired(KeyId::new(1), master(1)).unwrap();
        assert_eq!(unwrap(&rotated, &wrapped, b"here").unwrap(), [9; 32]);
        assert_eq!(wrap(&rotated, b"here").key_id(), "2");
        let dropped = Keyring::new(KeyId::new(2), master(2));
        assert!(matches!(unwrap(&dropped, &wrapped, b"here"), Err(WrapError::UnknownKey)));
        let foreign = WrappedKey::new("alias/of-another-vault", wrapped.as_bytes().to_vec());
        assert!(matches!(unwrap(&rotated, &foreign, b"here"), Err(WrapError::UnknownKey)));
    }

    #[test]
    fn an_altered_or_cut_wrapped_key_does_not_unwrap() {
        let keyring = Keyring::new(KeyId::new(1), master(1));
        let wrapped = wrap(&keyring, b"here");
        for at in 0..wrapped.as_bytes().len() {
            let mut altered = wrapped.as_bytes().to_vec();
            altered[at] ^= 1;
            for bytes in [altered, wrapped.as_bytes()[..at].to_vec()] {
                assert!(
                    matches!(unwrap(&keyring, &WrappedKey::new("1", bytes), b"here"), Err(WrapError::Corrupt)),
                    "{at}"
                );
            }
        }
    }

    /// The same subkey, nonce and place; only what the associated data begins with differs.
    #[test]
    fn what_is_sealed_as_a_record_does_not_unwrap() {
        let keyring = Keyring::new(KeyId::new(1), master(1));
        for kind in 1..=3 {
            let mut bytes = [[5; NONCE].as_slice(), &[9; 32]].concat();
            let ad = [&[kind], &b"here"[..]].concat();
            Keyring::primary(&keyring).record.seal(&[5; NONCE], &ad, &mut bytes, NONCE).unwrap();
            assert!(matches!(unwrap(&keyring, &WrappedKey::new("1", bytes), b"here"), Err(WrapError::Corrupt)));
        }
    }
}
