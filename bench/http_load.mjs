// One run of a load program on processor 1 against one server, and what the server's threads took for it.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export const SERVER_CORE = 0, CLIENT_CORE = 1;

/** Nanoseconds that the threads of a process have run so far. */
export function cpuNs(pid) {
  let total = 0n;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      total += BigInt(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // a thread that has just ended
    }
  }
  return total;
}

export function run(command, args, options = {}) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.stderr.on('data', (chunk) => (text += chunk));
    child.on('error', fail);
    child.on('close', (code, signal) => (code === 0 ? done(text) : fail(new Error(`${command} ended with ${code ?? signal}: ${text}`))));
  });
}

/** Threads that exist now, and those they make, run on these processors only. */
export function pin(pid, cores) {
  return run('taskset', ['-apc', cores, String(pid)]);
}

const number = (text, pattern) => Number(pattern.exec(text)?.[1] ?? NaN);

async function h2load({ url, requests, clients, streams, headers, body }) {
  const args = ['-c', String(CLIENT_CORE), 'h2load', `-c${clients}`, `-m${streams}`, '-t1', `-n${requests}`];
  for (const [name, value] of Object.entries(headers ?? {})) args.push('-H', `${name}: ${value}`);
  if (body) args.push('-d', body);
  const text = await run('taskset', [...args, url]);
  const good = number(text, /status codes: (\d+) 2xx/);
  if (good !== requests) throw new Error(`${good} of ${requests} answers were good at ${url}\n${text}`);
  const bytes = number(text, /\((\d+)\) data/);
  return { requests, seconds: requests / number(text, /, ([\d.]+) req\/s/), bytes: bytes / requests };
}

async function wrk({ url, seconds, clients, headers }) {
  const args = ['-c', String(CLIENT_CORE), 'wrk', '-t1', `-c${clients}`, `-d${seconds}s`];
  for (const [name, value] of Object.entries(headers ?? {})) args.push('-H', `${name}: ${value}`);
  const text = await run('taskset', [...args, url]);
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`errors at ${url}\n${text}`);
  return { requests: number(text, /(\d+) requests in/), seconds };
}

/** { us: processor time of the server for one request, rate: requests a second }. */
export async function measure(pid, load) {
  const before = cpuNs(pid);
  const done = await (load.h1 ? wrk(load) : h2load(load));
  const us = Number(cpuNs(pid) - before) / 1000 / done.requests;
  if (load.answer !== undefined && done.bytes !== load.answer)
    throw new Error(`answers of ${done.bytes} bytes instead of ${load.answer} at ${load.url}`);
  return { us, rate: done.requests / done.seconds };
}
