//! What the stores get to see of secrets and of who has them.

use mcp_token_lifecycle::vault::{
    Account, BoundTo, Credential, CredentialVault, Runtime, Secret, SecretText, StaticSecret,
};
use mcp_token_lifecycle::{Clock, Commit, KeyId, Keyring, MasterKey, Record, RecordKey, TokenStore};
use redis::{Commands, Connection};

use crate::place::{Kind, Place, Store};
use crate::service::{CLIENT_SECRET, LIFETIME, Rotation, SCOPE};
use crate::steps::Steps;
use crate::support::scope;
use crate::world::{SERVICE, Vault, World, claims, lease_of, put, subject};
use crate::{RUNTIME, variable};

const STATIC: [&str; 5] =
    ["api-key-Kj8HgFdSaQ", "user-name-Po9IuYtReW", "password-Mn2BvCxZlK", "key-id-Qa5WsXeDcR", "key-secret-Tg6YhNuJmI"];
const NAME: &str = "account-name-Vf4RtGbHyN";
const PLANTED: &str = "planted-Yx3CvBnMaS";

/// Everything that is in the store, as the server, or the file, has it.
fn dump(place: &Place) -> Vec<u8> {
    match place.kind {
        Kind::Postgres => RUNTIME.block_on(rows(&place.name)),
        Kind::Redis => values(&variable("REDIS_URL"), &place.name, |_| {}),
        Kind::Cluster => {
            // The keys of every node, of which a replica shows its own to those alone who ask for it.
            let readable = |to: &mut Connection| redis::cmd("READONLY").exec(to).unwrap();
            let urls = variable("REDIS_CLUSTER_URLS");
            urls.split_whitespace().flat_map(|url| values(url, &place.name, readable)).collect()
        }
        Kind::File => std::fs::read(&place.name).unwrap(),
    }
}

/// Every column, as text, in which bytes are in hexadecimal.
async fn rows(table: &str) -> Vec<u8> {
    use tokio_postgres::SimpleQueryMessage::Row;
    let (client, connection) = tokio_postgres::connect(&variable("POSTGRES_URL"), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let messages = client.simple_query(&format!("SELECT stored::text FROM {table} AS stored")).await.unwrap();
    connection.abort();
    let rows = messages.iter().filter_map(|message| if let Row(row) = message { row.get(0) } else { None });
    rows.flat_map(|row| row.bytes()).collect()
}

/// Every name, and every value or member.
fn values(url: &str, prefix: &str, prepare: fn(&mut Connection)) -> Vec<u8> {
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    prepare(&mut connection);
    let names: Vec<Vec<u8>> = connection.keys(format!("{prefix}*")).unwrap();
    let mut values = names.concat();
    for name in names {
        let kind: String = redis::cmd("TYPE").arg(&name).query(&mut connection).unwrap();
        match kind.as_str() {
            "string" => values.extend(connection.get::<_, Vec<u8>>(&name).unwrap()),
            "zset" => values.extend(connection.zrange::<_, Vec<Vec<u8>>>(&name, 0, -1).unwrap().concat()),
            other => panic!("nothing here is a {other}"),
        }
    }
    values
}

fn holds(dump: &[u8], secret: &[u8]) -> bool {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    [secret, hex.as_bytes()].iter().any(|form| dump.windows(form.len()).any(|window| window == *form))
}

fn plant(store: &Store, clock: &impl Clock) {
    let record = Record::new(RecordKey::from_bytes([7; 16]), 1, clock.now(), Vec::new(), PLANTED.into());
    assert_eq!(RUNTIME.block_on(store.commit(record)).unwrap(), Commit::Applied);
}

async fn put_static(vault: &Vault, owner: BoundTo) {
    let text = |n: usize| SecretText::new(STATIC[n]);
    let secrets = [Secret::ApiKey(text(0)), Secret::password(STATIC[1], text(2)), Secret::key_pair(STATIC[3], text(4))];
    for (n, secret) in secrets.into_iter().enumerate() {
        let account = Account::new(subject(2), SERVICE).named(format!("{NAME}-{n}"));
        let credential = Credential::Static(StaticSecret::new(secret, scope(SCOPE)));
        vault.put(&account, credential, owner.clone()).await.unwrap();
    }
}

fn search(kind: Kind) {
    let (world, service) = World::new(kind, Rotation::Strict);
    let store = RUNTIME.block_on(world.place.open());
    let vault = world.vault_on(store.clone(), Steps::without_halt(), 60);
    let session = claims(2);
    let owner = BoundTo::subject().session(session.family()).client(session.client_id());
    let mut seen = Vec::new();
    RUNTIME.block_on(async {
        put(&vault, 0, service.authorize()).await;
        put(&vault, 1, service.authorize()).await;
        put_static(&vault, owner).await;
    });
    for _ in 0..3 {
        world.clock.pass(LIFETIME);
        assert!(RUNTIME.block_on(lease_of(&vault, 0)).is_ok());
        seen.extend(dump(&world.place));
    }
    // The service does not answer, so this one is kept to be revoked later.
    assert!(RUNTIME.block_on(vault.revoke(&Account::new(subject(1), SERVICE))).unwrap());
    seen.extend(dump(&world.place));
    let rotated = Keyring::new(KeyId::new(2), MasterKey::from_bytes([8; 32]));
    let rotated = rotated.with_retired(KeyId::new(1), MasterKey::from_bytes([7; 32])).unwrap();
    let runtime = Runtime::new(tokio::time::sleep, |_| {});
    let count = RUNTIME.block_on(CredentialVault::new(store.clone(), rotated, runtime).rewrap()).unwrap();
    assert_eq!(count, 6, "five credentials and the root");
    seen.extend(dump(&world.place));

    let mut secrets: Vec<Vec<u8>> = service.tokens().into_iter().map(String::into_bytes).collect();
    secrets.extend((0..3).map(|user| subject(user).into_bytes()));
    secrets.extend(STATIC.into_iter().chain([NAME, CLIENT_SECRET, SERVICE, SCOPE, "client-1"]).map(Into::into));
    secrets.extend([session.family().as_bytes().to_vec(), vec![7; 32], vec![8; 32]]);
    let found = secrets.iter().filter(|secret| holds(&seen, secret)).count();
    assert!(!holds(&seen, PLANTED.as_bytes()));
    plant(&store, &world.clock);
    assert!(holds(&dump(&world.place), PLANTED.as_bytes()), "what is there is found");
    println!(
        "{kind:?}: {found} of {} secrets and names in {} bytes of the store, the planted one found",
        secrets.len(),
        seen.len()
    );
    assert_eq!(found, 0);
}

#[test]
fn no_secret_and_no_subject_is_in_any_column_of_postgres() {
    search(Kind::Postgres);
}

#[test]
fn no_secret_and_no_subject_is_in_any_value_of_redis() {
    search(Kind::Redis);
}

#[test]
fn no_secret_and_no_subject_is_in_any_value_of_a_cluster() {
    search(Kind::Cluster);
}

#[test]
fn no_secret_and_no_subject_is_in_the_file_of_redb() {
    search(Kind::File);
}
