//! Data keys: created, wrapped, unwrapped, and cached for a limited time, so that not each lease asks the key service.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::wrapper::{DataKey, KeyWrapper, WrapError, WrappedKey};
use crate::crypto::random::RandomSource;
use crate::crypto::redacted::redacted;
use crate::crypto::{Aead, Mac, subkey};
use crate::time::Timestamp;

/// The largest number of cached data keys, which take about 8 MB.
const CAPACITY: usize = 10_000;

/// A wrapped data key, and the two subkeys that a record is sealed with. The subkeys are zeroized on drop.
pub(crate) struct Envelope {
    pub(crate) wrapped: WrappedKey,
    /// Encrypts the content.
    pub(crate) content: Aead,
    /// Authenticates everything that the store sees.
    pub(crate) tag: Mac,
}

impl Envelope {
    fn new(wrapped: WrappedKey, key: &DataKey) -> Arc<Self> {
        let subkey = |label| subkey(key.as_bytes(), label);
        let (content, tag) = (Aead::new(&subkey("upstream content")), Mac::new(&subkey("upstream tag")));
        Arc::new(Self { wrapped, content, tag })
    }
}

redacted!(Envelope);

/// The data keys of one vault, with a cache.
pub(crate) struct DataKeys {
    wrapper: Arc<dyn KeyWrapper>,
    // Locked for a look-up, never across an await.
    ready: Mutex<Ready>,
}

impl DataKeys {
    /// Creates a cache of data keys that `wrapper` wraps. A key stays in it for `lifetime` after it was created or
    /// unwrapped; zero keeps none.
    pub(crate) fn new(wrapper: Arc<dyn KeyWrapper>, lifetime: Duration) -> Self {
        Self { wrapper, ready: Mutex::new(Ready::new(lifetime, CAPACITY)) }
    }

    /// Returns the id of the key that data keys are wrapped with now.
    pub(crate) async fn primary(&self) -> Result<String, WrapError> {
        self.wrapper.primary().await
    }

    /// Creates a data key for `context`.
    pub(crate) async fn make(
        &self,
        context: &[u8],
        rng: &RandomSource,
        now: Timestamp,
    ) -> Result<Arc<Envelope>, WrapError> {
        let key = DataKey::from_bytes(rng.bytes().map_err(WrapError::unavailable)?);
        let envelope = Envelope::new(self.wrap(&key, context).await?, &key);
        self.with_ready(|ready| ready.insert(context, &envelope, now));
        Ok(envelope)
    }

    /// Unwraps the data key that the key `key_id` wrapped for `context` into `bytes`, or takes it from the cache.
    pub(crate) async fn open(
        &self,
        key_id: &str,
        bytes: &[u8],
        context: &[u8],
        now: Timestamp,
    ) -> Result<Arc<Envelope>, WrapError> {
        if let Some(envelope) = self.with_ready(|ready| ready.get(key_id, bytes, context, now)) {
            return Ok(envelope);
        }
        let wrapped = WrappedKey::new(key_id, bytes.to_vec());
        let key = self.wrapper.unwrap(&wrapped, context).await?;
        let envelope = Envelope::new(wrapped, &key);
        self.with_ready(|ready| ready.insert(context, &envelope, now));
        Ok(envelope)
    }

    /// Wraps the same data key with the primary key. The result is not cached, because a pass over all records would
    /// evict the keys in use.
    pub(crate) async fn rewrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Arc<Envelope>, WrapError> {
        let key = self.wrapper.unwrap(wrapped, context).await?;
        Ok(Envelope::new(self.wrap(&key, context).await?, &key))
    }

    /// Wraps `key`, and checks the length of the result.
    async fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<WrappedKey, WrapError> {
        let wrapped = self.wrapper.wrap(key, context).await?;
        let longest = wrapped.key_id().len().max(wrapped.as_bytes().len());
        if longest > WrappedKey::MAX_LEN { Err(WrapError::TooLong { got: longest }) } else { Ok(wrapped) }
    }

    /// Runs `act` with the cache locked.
    fn with_ready<T>(&self, act: impl FnOnce(&mut Ready) -> T) -> T {
        act(&mut self.ready.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The cached data keys. The oldest is evicted first. Expired ones are removed by the next call.
struct Ready {
    lifetime: Duration,
    capacity: usize,
    keys: HashMap<Arc<[u8]>, Entry>,
    /// The time at which each key was cached, in that order, which is also the order of expiry.
    order: VecDeque<(Arc<[u8]>, Timestamp)>,
}

/// A cached key, found by its wrapped bytes. A hit must also match the key id and the context.
struct Entry {
    context: Box<[u8]>,
    envelope: Arc<Envelope>,
}

impl Ready {
    fn new(lifetime: Duration, capacity: usize) -> Self {
        Self { lifetime, capacity, keys: HashMap::new(), order: VecDeque::new() }
    }

    fn get(&mut self, key_id: &str, bytes: &[u8], context: &[u8], now: Timestamp) -> Option<Arc<Envelope>> {
        self.end(now);
        let Entry { envelope, context: bound_to } = self.keys.get(bytes)?;
        (envelope.wrapped.key_id() == key_id && **bound_to == *context).then(|| envelope.clone())
    }

    fn insert(&mut self, context: &[u8], envelope: &Arc<Envelope>, now: Timestamp) {
        self.end(now);
        let bytes = envelope.wrapped.as_bytes();
        if self.lifetime.is_zero() || self.keys.contains_key(bytes) {
            return;
        }
        if self.order.len() >= self.capacity {
            self.drop_oldest();
        }
        let bytes: Arc<[u8]> = bytes.into();
        self.keys.insert(bytes.clone(), Entry { context: context.into(), envelope: envelope.clone() });
        self.order.push_back((bytes, now));
    }

    /// Removes expired keys, and keys from the future: the clock was set back, so their age is unknown.
    fn end(&mut self, now: Timestamp) {
        let lifetime = self.lifetime;
        let fresh = |since: Timestamp| since <= now && now.since(since) < lifetime;
        while self.order.front().is_some_and(|(_, since)| !fresh(*since)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((bytes, _)) = self.order.pop_front() {
            self.keys.remove(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pollster::block_on;

    use super::*;
    use crate::crypto::random::RandomSource;
    use crate::keys::MasterKey;
    use crate::keys::{KeyId, Keyring};
    use crate::store::BoxFuture;

    /// Counts how often it is asked to unwrap.
    struct Counted {
        keyring: Keyring,
        unwraps: AtomicUsize,
        padding: usize,
    }

    impl KeyWrapper for Counted {
        fn primary(&self) -> BoxFuture<'_, Result<String, WrapError>> {
            KeyWrapper::primary(&self.keyring)
        }

        fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a [u8]) -> BoxFuture<'a, Result<WrappedKey, WrapError>> {
            Box::pin(async move {
                let wrapped = self.keyring.wrap(key, context).await?;
                let bytes = [wrapped.as_bytes(), &vec![0; self.padding]].concat();
                Ok(WrappedKey::new(wrapped.key_id(), bytes))
            })
        }

        fn unwrap<'a>(
            &'a self,
            wrapped: &'a WrappedKey,
            context: &'a [u8],
        ) -> BoxFuture<'a, Result<DataKey, WrapError>> {
            self.unwraps.fetch_add(1, Ordering::Relaxed);
            self.keyring.unwrap(wrapped, context)
        }
    }

    impl Counted {
        fn new(padding: usize) -> Arc<Self> {
            let keyring = Keyring::new(KeyId::new(2), MasterKey::from_bytes([2; 32]));
            let keyring = keyring.with_retired(KeyId::new(1), MasterKey::from_bytes([1; 32])).unwrap();
            Arc::new(Self { keyring, unwraps: AtomicUsize::new(0), padding })
        }

        fn unwraps(&self) -> usize {
            self.unwraps.load(Ordering::Relaxed)
        }
    }

    const LIFETIME: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn make(keys: &DataKeys, context: &[u8], now: u64) -> (WrappedKey, Arc<Envelope>) {
        let made = block_on(keys.make(context, &RandomSource::default(), at(now))).unwrap();
        (made.wrapped.clone(), made)
    }

    fn try_open(keys: &DataKeys, wrapped: &WrappedKey, context: &[u8], now: u64) -> Result<Arc<Envelope>, WrapError> {
        block_on(keys.open(wrapped.key_id(), wrapped.as_bytes(), context, at(now)))
    }

    fn open(keys: &DataKeys, wrapped: &WrappedKey, context: &[u8], now: u64) -> Arc<Envelope> {
        try_open(keys, wrapped, context, now).unwrap()
    }

    fn same(a: &Envelope, b: &Envelope) -> bool {
        let seal = |keys: &Envelope| {
            let mut text = vec![0; 4];
            keys.content.seal(&[0; 24], b"", &mut text, 0).unwrap();
            text
        };
        a.tag.tag([&b"x"[..]]) == b.tag.tag([&b"x"[..]]) && seal(a) == seal(b)
    }

    #[test]
    fn a_data_key_is_unwrapped_once_in_its_lifetime() {
        let wrapper = Counted::new(0);
        let keys = DataKeys::new(wrapper.clone(), LIFETIME);
        let (wrapped, made) = make(&keys, b"here", 1_000);
        assert!(Arc::ptr_eq(&made, &open(&keys, &wrapped, b"here", 1_299)));
        assert_eq!(wrapper.unwraps(), 0);
        let again = open(&keys, &wrapped, b"here", 1_300);
        assert!(!Arc::ptr_eq(&made, &again) && same(&made, &again));
        assert!(Arc::ptr_eq(&again, &open(&keys, &wrapped, b"here", 1_599)));
        assert_eq!(wrapper.unwraps(), 1);
    }

    #[test]
    fn every_data_key_is_another_and_its_two_subkeys_have_a_purpose_each() {
        let keys = DataKeys::new(Counted::new(0), LIFETIME);
        let ((_, one), (_, other)) = (make(&keys, b"here", 0), make(&keys, b"here", 0));
        assert!(same(&one, &one) && !same(&one, &other));
        let of = |label| Mac::new(&subkey(&[9; 32], label)).tag([&b"x"[..]]);
        let derived =
            Envelope::new(WrappedKey::new("1", Vec::new()), &DataKey::from_bytes([9; 32])).tag.tag([&b"x"[..]]);
        assert!(derived == of("upstream tag") && derived != of("upstream content"));
    }

    /// The wrapper would refuse both; what is kept ready must not answer in its stead.
    #[test]
    fn a_key_at_hand_is_not_given_to_another_context_or_key_id() {
        let keys = DataKeys::new(Counted::new(0), LIFETIME);
        let (wrapped, _) = make(&keys, b"here", 0);
        assert!(matches!(try_open(&keys, &wrapped, b"there", 0), Err(WrapError::Corrupt)));
        let renamed = WrappedKey::new("1", wrapped.as_bytes().to_vec());
        assert!(matches!(try_open(&keys, &renamed, b"here", 0), Err(WrapError::Corrupt)));
    }

    #[test]
    fn a_clock_set_back_and_a_lifetime_of_zero_keep_nothing() {
        let wrapper = Counted::new(0);
        let keys = DataKeys::new(wrapper.clone(), LIFETIME);
        let (wrapped, _) = make(&keys, b"here", 1_000);
        open(&keys, &wrapped, b"here", 999);
        assert_eq!(wrapper.unwraps(), 1);
        let keys = DataKeys::new(wrapper.clone(), Duration::ZERO);
        let (wrapped, _) = make(&keys, b"here", 1_000);
        open(&keys, &wrapped, b"here", 1_000);
        assert_eq!(wrapper.unwraps(), 2);
        assert!(keys.ready.lock().unwrap().keys.is_empty());
    }

    #[test]
    fn the_oldest_makes_room_and_what_has_ended_is_dropped() {
        let source = DataKeys::new(Counted::new(0), Duration::ZERO);
        let made: Vec<_> = (0..4).map(|_| make(&source, b"here", 0)).collect();
        let mut ready = Ready::new(LIFETIME, 3);
        let there = |ready: &mut Ready, now| -> Vec<bool> {
            let mut is_there = |key: &WrappedKey| ready.get(key.key_id(), key.as_bytes(), b"here", at(now)).is_some();
            made.iter().map(|(wrapped, _)| is_there(wrapped)).collect()
        };
        for (now, (_, envelope)) in made.iter().enumerate() {
            ready.insert(b"here", envelope, at(now as u64));
            // A second caller who has missed it at the same time.
            ready.insert(b"here", envelope, at(now as u64));
        }
        assert_eq!(there(&mut ready, 3), [false, true, true, true]);
        assert_eq!(there(&mut ready, 302), [false, false, false, true]);
        assert_eq!((ready.keys.len(), ready.order.len()), (1, 1));
        assert_eq!(Arc::strong_count(&made[1].1), 1, "the keys themselves are gone");
    }

    #[test]
    fn a_rewrap_changes_the_wrapping_and_not_the_keys() {
        let wrapper = Counted::new(0);
        let old = Keyring::new(KeyId::new(1), MasterKey::from_bytes([1; 32]));
        let (wrapped, made) = make(&DataKeys::new(Arc::new(old), LIFETIME), b"here", 0);
        let keys = DataKeys::new(wrapper.clone(), LIFETIME);
        let again = block_on(keys.rewrap(&wrapped, b"here")).unwrap();
        let rewrapped = &again.wrapped;
        assert_eq!((wrapped.key_id(), rewrapped.key_id()), ("1", &*block_on(keys.primary()).unwrap()));
        assert!(same(&made, &again) && same(&made, &open(&keys, rewrapped, b"here", 0)));
        assert_eq!(wrapper.unwraps(), 2, "neither was kept ready");
        assert!(matches!(block_on(keys.rewrap(&wrapped, b"there")), Err(WrapError::Corrupt)));
    }

    #[test]
    fn a_wrapped_key_too_long_to_be_stored_is_refused() {
        let room = WrappedKey::MAX_LEN - 72;
        assert!(
            block_on(DataKeys::new(Counted::new(room), LIFETIME).make(b"", &RandomSource::default(), at(0))).is_ok()
        );
        let made = block_on(DataKeys::new(Counted::new(room + 1), LIFETIME).make(b"", &RandomSource::default(), at(0)));
        assert!(matches!(made, Err(WrapError::TooLong { .. })));
    }
}
