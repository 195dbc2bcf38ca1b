import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** The folder of a factory: `--dir`, else $MILLWRIGHT_DIR, else ~/.millwright. */
export function factoryDir(option?: string): string {
  return resolve(option ?? (process.env['MILLWRIGHT_DIR'] || join(homedir(), '.millwright')))
}

/** Where things lie in a factory's folder. */
export function pathsIn(dir: string) {
  return {
    store: join(dir, 'store'),
    blobs: join(dir, 'blobs'),
    agent: join(dir, 'agent'),
    token: join(dir, 'token'),
    /** Written while the factory runs: how commands on this machine find it. */
    connection: join(dir, 'factory.json'),
    log: join(dir, 'millwright.log'),
    /** What the scheduler was told and what it said: `millwright replay`. */
    decisions: join(dir, 'decisions.jsonl'),
  }
}

/** What `factory.json` holds. The token stays in its own file. */
export interface Connection {
  url: string
  gatewayUrl: string
  pid: number
  startedAt: string
  version: string
  /** Where TLS is spoken: whom commands on this machine trust, and where they find the names of the URLs. */
  tls?: { certificateAuthority: string; address: string } | undefined
}
