// The servers that fan-out is measured against, each on free ports with one thread that works: nats-server, mosquitto, nginx
// with nchan, and the plainest server on `ws`. One that is not installed, or does not start, is a note and not an error.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../tests/e2e/kit/installation.mjs';
import { freePorts, installed, start } from './http_peers.mjs';

const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';

const NATS = (o) => `port: ${o.publish}
host: "127.0.0.1"
max_connections: 20000
websocket { host: "127.0.0.1", port: ${o.at}, no_tls: true }
`;

const MOSQUITTO = (o) => `allow_anonymous true
max_queued_messages 0
set_tcp_nodelay true
listener ${o.publish} 127.0.0.1
listener ${o.at} 127.0.0.1
protocol websockets
`;

const NGINX = (o) => `load_module ${MODULE};
daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid ${o.folder}/nginx.pid; error_log ${o.folder}/nginx.log;
events { worker_connections 16000; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${o.folder}/body; nchan_shared_memory_size 256M;
  proxy_temp_path ${o.folder}/proxy; fastcgi_temp_path ${o.folder}/fcgi; uwsgi_temp_path ${o.folder}/uwsgi; scgi_temp_path ${o.folder}/scgi;
  server {
    listen 127.0.0.1:${o.at}; tcp_nodelay on;
    location = /sub { nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; nchan_websocket_ping_interval 0; }
    location = /pub { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 200; }
  }
}
`;

/** A process and those it has started: nginx works in a child. */
function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}

const KINDS = {
  async nats({ folder }) {
    if (!installed('nats-server')) throw new Error('it is not installed');
    const [publish, at] = await freePorts(2), file = path.join(folder, 'nats.conf');
    writeFileSync(file, NATS({ publish, at }));
    return { publish, at, peer: await start('nats-server', ['nats-server', '-c', file], [publish, at]) };
  },
  async mqtt({ folder }) {
    if (!installed('mosquitto')) throw new Error('it is not installed');
    const [publish, at] = await freePorts(2), file = path.join(folder, 'mosquitto.conf');
    writeFileSync(file, MOSQUITTO({ publish, at }));
    return { publish, at, peer: await start('mosquitto', ['mosquitto', '-c', file], [publish, at]) };
  },
  async nchan({ folder }) {
    if (!installed('nginx') || !existsSync(MODULE)) throw new Error('it is not installed');
    const [at] = await freePorts(1), file = path.join(folder, 'nginx.conf'), own = path.join(folder, 'nginx');
    mkdirSync(own);
    writeFileSync(file, NGINX({ folder: own, at }));
    return { publish: at, at, peer: await start('nchan', ['nginx', '-c', file, '-p', own], [at]) };
  },
  async ws() {
    const [at] = await freePorts(1), program = path.join(ROOT, 'bench/peers/broadcast.mjs');
    if (!existsSync(path.join(ROOT, 'bench/peers/node_modules/ws'))) throw new Error('it is not installed');
    return { publish: at, at, peer: await start('ws', [process.execPath, program, String(at)], [at]) };
  },
};

/** { name: { at, publish: ports, pids } } of those that are there; the others in `notes`. */
export async function startPeers(folder, names) {
  const peers = {}, notes = [];
  for (const name of Object.keys(KINDS).filter((each) => names.includes(each))) {
    try {
      const started = await KINDS[name]({ folder });
      peers[name] = { ...started, pids: family(started.peer.pid) };
    } catch (error) {
      notes.push(`${name} is left out: ${error.message.split('\n')[0]}`);
    }
  }
  return { peers, notes, stop: () => Object.values(peers).forEach(({ pids }) => pids.forEach((pid) => endOf(pid))) };
}

function endOf(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended with its parent
  }
}
