//! A machine that loses power at any moment loses nothing that was acknowledged.
//!
//! The store is on a file system on a loop device, and that file system is shut down without a flush of its log, while a
//! child commits: what was not synced is gone. An acknowledgement counts only if it was read before the shutdown.
//!
//! Needs Linux, root, and the programs of `xfsprogs` and `e2fsprogs`. Without them it is skipped, but fails where `CI` is set.

#![cfg(all(feature = "redb", target_os = "linux"))]

mod hammer;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs};

use hammer::{Acknowledged, Hammer, acknowledge, hammer, lost};

const STORE: &str = "REDB_POWER_CUT_STORE";
const NO_SYNC: &str = "REDB_POWER_CUT_NO_SYNC";
const CUTS: u64 = 60;

/// Not a test: what the child runs.
#[test]
fn child() {
    if let Some(path) = env::var_os(STORE) {
        hammer(Path::new(&path));
    }
}

/// Not a test: what the control's child runs. The engine is told not to sync.
#[test]
fn child_without_sync() {
    let Some(path) = env::var_os(NO_SYNC) else { return };
    let database = redb::Database::create(path).unwrap();
    for version in 1.. {
        let mut transaction = database.begin_write().unwrap();
        if version > 1 {
            transaction.set_durability(redb::Durability::None).unwrap();
        }
        transaction.open_table(VERSIONS).unwrap().insert(0, version).unwrap();
        transaction.commit().unwrap();
        acknowledge(0, version);
    }
}

const VERSIONS: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("versions");

#[test]
fn redb_power_cut_loses_no_acknowledged_commit() {
    for kind in ["ext4", "xfs"] {
        let Some(mut disk) = Disk::make(kind) else { return };
        let path = disk.mount.join("tokens.redb");
        let mut acknowledged = Acknowledged::new();
        let (mut idle, mut commits) = (0, 0);
        for cut in 0..CUTS {
            if cut % 10 == 0 {
                // So that the creation of the file is cut, too.
                let _ = fs::remove_file(&path);
                commits += acknowledged.values().sum::<u64>();
                acknowledged.clear();
            }
            let child = Hammer::start("child", STORE, &path);
            child.wait(10 * (cut as usize % 4));
            sleep(Duration::from_micros(cut * 7919 % 60_000));
            let heard = child.heard();
            disk.cut_power();
            drop(child);
            disk.restore_power();
            idle += usize::from(heard.is_empty());
            acknowledged.extend(heard);
            if path.exists() {
                assert_eq!(lost(&path, &acknowledged), 0, "on {kind} in cut {cut}");
            } else {
                assert!(acknowledged.is_empty(), "on {kind} in cut {cut} the file is gone");
            }
        }
        commits += acknowledged.values().sum::<u64>();
        println!("{kind}: {CUTS} cuts, {idle} before the first commit; {commits} acknowledged commits, none lost");
        assert!(commits > 10 * CUTS);
    }
}

/// At one of the cuts, for a busy machine may write everything out just before one of them.
#[test]
fn redb_power_cut_without_sync_loses_a_commit() {
    for kind in ["ext4", "xfs"] {
        let Some(mut disk) = Disk::make(kind) else { return };
        let is_seen = (0..10).any(|_| loses_without_sync(&mut disk, kind));
        assert!(is_seen, "on {kind} no cut lost a commit");
    }
}

fn loses_without_sync(disk: &mut Disk, kind: &str) -> bool {
    let path = disk.mount.join("control.redb");
    let _ = fs::remove_file(&path);
    let child = Hammer::start("child_without_sync", NO_SYNC, &path);
    child.wait(100);
    let acknowledged = child.heard()[&0];
    disk.cut_power();
    drop(child);
    disk.restore_power();
    let database = redb::Database::open(&path).unwrap();
    let found = redb::ReadableDatabase::begin_read(&database).unwrap().open_table(VERSIONS).unwrap();
    let found = found.get(0).unwrap().unwrap().value();
    println!("{kind}, control without sync: {found} of {acknowledged} acknowledged commits are left");
    found < acknowledged
}

/// A file system in a file, unmounted when dropped.
struct Disk {
    mount: PathBuf,
    image: PathBuf,
    mounted: bool,
    _dir: tempfile::TempDir,
}

impl Disk {
    /// `None` where this cannot be done and need not be.
    fn make(kind: &str) -> Option<Self> {
        let made = Self::try_make(kind);
        if let Err(why) = &made {
            assert!(env::var_os("CI").is_none(), "a power cut cannot be simulated: {why}");
            println!("SKIPPED: a power cut cannot be simulated: {why}");
        }
        made.ok()
    }

    fn try_make(kind: &str) -> Result<Self, String> {
        if fs::metadata("/proc/self").map_err(|e| e.to_string())?.uid() != 0 {
            return Err("it takes root to mount a file system".into());
        }
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (mount, image) = (dir.path().join("mount"), dir.path().join("image"));
        fs::create_dir(&mount).map_err(|e| e.to_string())?;
        // As small as mkfs.xfs takes; the file is sparse.
        let file = fs::File::create(&image).and_then(|file| file.set_len(320 << 20));
        file.map_err(|e| e.to_string())?;
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image))?;
        run(Command::new("xfs_io").arg("-V"))?;
        let mut disk = Self { mount, image, mounted: false, _dir: dir };
        disk.try_mount()?;
        Ok(disk)
    }

    fn try_mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount))?;
        self.mounted = true;
        Ok(())
    }

    /// From here on the file system refuses everything, and what it had not synced is forgotten.
    fn cut_power(&self) {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.mount)).unwrap();
        assert!(fs::write(self.mount.join("after"), "").is_err(), "the file system is down");
    }

    fn restore_power(&mut self) {
        run(Command::new("umount").arg(&self.mount)).unwrap();
        self.mounted = false;
        self.try_mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted && run(Command::new("umount").arg(&self.mount)).is_err() {
            // Still in use: detach it now, and the loop device goes with its last user.
            let _ = run(Command::new("umount").arg("--lazy").arg(&self.mount));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(e) => Err(format!("{command:?}: {e}")),
    }
}
