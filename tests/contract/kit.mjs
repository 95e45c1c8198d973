// One running installation, its documents, and validators made of them.
import addFormats from 'ajv-formats';
import Ajv2020 from 'ajv/dist/2020.js';
import { call, Client } from '../e2e/kit/client.mjs';
import { Installation } from '../e2e/kit/installation.mjs';

export class Contract {
  static async start() {
    const it = new Contract();
    it.installation = await Installation.start();
    it.url = it.installation.plainUrl;
    it.demo = await Client.demo(it.installation);
    it.openapi = await it.json('/openapi.json');
    it.asyncapi = await it.json('/asyncapi.json');
    it.types = (await it.demo.get('/api/event-types')).json;
    return it;
  }

  stop() {
    return this.installation?.stop();
  }

  async json(path) {
    const { status, json, body } = await call(this.url + path);
    if (status !== 200) throw new Error(`GET ${path}: HTTP ${status} ${body}`);
    return json;
  }

  /** Validators by address: all of /schemas/, so that they find each other. */
  async schemas() {
    const names = [...this.types.events, ...this.types.commands].map(({ name }) => name);
    const ajv = newAjv();
    for (const name of [...names, 'CloudEvent', 'Envelope']) ajv.addSchema(await this.json(`/schemas/${name}.json`));
    return { names, validate: (name, value) => problems(ajv, `/schemas/${name}.json`, value) };
  }

  /** Checks a value against a schema of components.schemas. */
  get components() {
    const ajv = newAjv();
    ajv.addKeyword('components');
    ajv.addSchema({ $id: 'openapi', components: this.openapi.components });
    return (name, value) => problems(ajv, `openapi#/components/schemas/${name}`, value);
  }
}

function newAjv() {
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false });
  for (const keyword of ['x-personal-data', 'x-schema-version', 'x-protobuf-field']) ajv.addKeyword(keyword);
  addFormats(ajv);
  return ajv;
}

/** What is wrong, in words; [] where nothing is. */
function problems(ajv, id, value) {
  const check = ajv.getSchema(id);
  if (!check) throw new Error(`no schema ${id}`);
  return check(value) ? [] : check.errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
}
