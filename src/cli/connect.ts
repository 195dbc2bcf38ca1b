import { readFileSync } from 'node:fs'
import { type Client, createClient } from '../api/client.ts'
import { factoryDir, pathsIn } from '../runtime/paths.ts'
import { Exit, exit } from './exit.ts'

export interface ConnectOptions {
  dir?: string | undefined
  server?: string | undefined
  token?: string | undefined
}

/** The factory that a command talks to: --server, else $MILLWRIGHT_SERVER, else the one running in --dir. */
export function connect(options: ConnectOptions): {
  client: Client
  gatewayUrl: string | undefined
  url: string
  token: string
} {
  const server = options.server ?? process.env['MILLWRIGHT_SERVER']
  if (server !== undefined) {
    const token = options.token ?? process.env['MILLWRIGHT_TOKEN'] ?? ''
    return {
      client: createClient({ server, token }),
      gatewayUrl: process.env['MILLWRIGHT_GATEWAY'],
      url: server,
      token,
    }
  }
  const dir = factoryDir(options.dir)
  const connection = readConnection(dir)
  if (connection === undefined) {
    throw new Exit(
      exit.unreachable,
      `No factory runs in ${dir}. Start one with \`millwright up\`, or name another with --dir or MILLWRIGHT_SERVER.`,
    )
  }
  const token = readFileSync(pathsIn(dir).token, 'utf8').trim()
  return {
    client: createClient({ server: connection.url, token }),
    gatewayUrl: connection.gatewayUrl,
    url: connection.url,
    token,
  }
}

export function readConnection(dir: string): { url: string; gatewayUrl: string; pid: number } | undefined {
  try {
    return JSON.parse(readFileSync(pathsIn(dir).connection, 'utf8'))
  } catch {
    return undefined
  }
}
