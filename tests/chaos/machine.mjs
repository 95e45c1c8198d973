// What can be done to this machine: a disk that is full, a wall clock that steps.
//
// Disk: the home lies on a small tmpfs of its own, and a ballast file fills it. Where mounting is not permitted (or
// EVENTS_CHAOS_DISK=limit), files cannot grow instead: RLIMIT_FSIZE of the running programs, which is a SIGXFSZ for who
// writes: another way to die.
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const CHUNK = Buffer.alloc(64 << 10);

export class Disk {
  folder = mkdtempSync(path.join(tmpdir(), 'events-chaos-'));

  constructor(mebibytes) {
    try {
      if (process.env.EVENTS_CHAOS_DISK === 'limit') throw new Error('not wanted');
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`, 'events-chaos', this.folder], { stdio: 'ignore' });
      this.kind = 'tmpfs';
    } catch {
      this.kind = 'RLIMIT_FSIZE';
    }
  }

  /** pids: () => the running programs. */
  fill(pids) {
    if (this.kind !== 'tmpfs') return this.#limit(pids, '4096:');
    const fd = openSync(path.join(this.folder, 'ballast'), 'w');
    try {
      while (statfsSync(this.folder).bavail > 0) writeSync(fd, CHUNK);
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error;
    } finally {
      closeSync(fd);
    }
  }

  free(pids) {
    if (this.kind === 'tmpfs') rmSync(path.join(this.folder, 'ballast'), { force: true });
    else this.#limit(pids, 'unlimited:');
  }

  #limit(pids, limit) {
    for (const pid of pids()) {
      try {
        execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${limit}`], { stdio: 'ignore' });
      } catch {
        // it has just ended
      }
    }
  }

  remove() {
    if (this.kind === 'tmpfs') execFileSync('umount', ['-l', this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Clock {
  constructor(folder, build) {
    this.library = path.join(build, 'chaos', 'libchaos_clock.so');
    this.file = path.join(folder, 'clock');
    this.works = existsSync(this.library);
    writeFileSync(this.file, Buffer.alloc(8), { mode: 0o600 });
  }

  get env() {
    return this.works ? { LD_PRELOAD: this.library, CHAOS_CLOCK: this.file } : {};
  }

  wrongBy(seconds) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    const fd = openSync(this.file, 'r+');
    writeSync(fd, bytes, 0, 8, 0);
    closeSync(fd);
  }
}
