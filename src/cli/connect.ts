import { readFileSync } from 'node:fs'
import { loopbackIdentity } from '../api/certificate.ts'
import { type Client, createClient } from '../api/client.ts'
import { isUntrusted, nodeTransport, silentMsMax, type Transport, type Trust } from '../api/transport.ts'
import { OperatingError } from '../base/errors.ts'
import { readDuration } from '../model/duration.ts'
import { type Connection, factoryDir, pathsIn } from '../runtime/paths.ts'
import { Exit, exit } from './exit.ts'
import type { Global } from './global.ts'
import { paint } from './output.ts'
import { readText } from './read-text.ts'
import { followingTransport, isUnreachable, type Presence } from './transport.ts'

/** The factory that a command would talk to. Whether anything answers there is not known yet. */
export interface Choice {
  /** How it came to be this one, for people. */
  how: string
  namespace: string
  /** Of a factory's folder; undefined where a URL was named. */
  dir: string | undefined
  /** After how long it does not answer; 0: never. */
  silentMs: number
  /** Throws, with a sentence, where no factory runs in the folder. */
  reach(): Reached
}

export interface Reached {
  url: string
  token: string | undefined
  trust: Trust
  gateway: {
    /** Undefined: as the services say it. */
    url: string | undefined
    trust: Trust
  }
}

export interface Connected extends Reached {
  client: Client
  namespace: string
}

/** The one way from the command line to a factory. */
export async function connect(options: Global, presence?: Presence): Promise<Connected> {
  return connectTo(await choose(options), presence)
}

/** `presence`: for commands that go on while the factory is away. */
export function connectTo(choice: Choice, presence: Presence = { lost: () => {}, back: () => {} }): Connected {
  const reached = choice.reach()
  let now = reached
  const open = () => {
    const found = reachedAgain(choice)
    if (found === undefined || isSame(found, now)) return undefined
    now = found
    return transportTo(found, choice)
  }
  const transport = followingTransport(transportTo(reached, choice), open, presence)
  const client = createClient({ server: reached.url, token: reached.token, transport })
  return {
    client,
    namespace: choice.namespace,
    token: reached.token,
    get url() {
      return now.url
    },
    get trust() {
      return now.trust
    },
    get gateway() {
      return now.gateway
    },
  }
}

/**
 * What a killed factory has left in its folder may lead to a port that is another's by now. Over TLS only who holds the
 * token can show the certificate that follows from it, so nobody else is told the token.
 */
function transportTo({ url, token, trust }: Reached, { dir, silentMs }: Choice): Transport {
  if (dir === undefined || token === undefined || !url.startsWith('http:')) return nodeTransport(url, trust, silentMs)
  const pinned = { certificateAuthority: loopbackIdentity(token).cert, serverName: 'localhost' }
  const transport = nodeTransport(url.replace(/^http:/, 'https:'), pinned, silentMs)
  return {
    close: transport.close,
    async send(request) {
      try {
        return await transport.send(request)
      } catch (error) {
        throw isUnreachable(error) && isStranger(error.cause) ? stranger(url, dir, error) : error
      }
    },
  }
}

/** Neither nobody nor the factory, before anything was sent. */
function isStranger(cause: unknown): boolean {
  const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException
  return code === 'EPROTO' || isUntrusted(code) || code.startsWith('ERR_SSL_')
}

function stranger(url: string, dir: string, cause: unknown): OperatingError {
  return new OperatingError(
    'unreachable',
    { retryAfterMs: 1000 },
    `who answers at ${url} does not hold the token of the factory in ${dir}: is that down, and its port another program's? Start it with \`millwright up\``,
    { cause },
  )
}

/** A factory that comes back may show another certificate. */
function isSame(one: Reached, other: Reached): boolean {
  return one.url === other.url && JSON.stringify(one.trust) === JSON.stringify(other.trust)
}

/** Undefined while no factory runs in the folder. */
function reachedAgain(choice: Choice): Reached | undefined {
  try {
    return choice.reach()
  } catch {
    return undefined
  }
}

/** Says on stderr that the factory went away, and that it is back. */
export function sayPresence(): Presence {
  return {
    lost: () => console.error(paint.yellow('the factory does not answer; this goes on when it is back')),
    back: () => console.error(paint.yellow('the factory is back')),
  }
}

/**
 * What the command line names goes before what the environment names; at last, the folder. Two that contradict each
 * other are an error: nobody should find out afterwards which factory it was.
 */
export async function choose(options: Global): Promise<Choice> {
  const { server, kubeconfig, dir } = options
  if (server !== undefined && kubeconfig !== undefined)
    throw new Exit(exit.usage, '--server and --kubeconfig both name a factory; give one of them.')
  if (kubeconfig !== undefined) return await ofKubeconfig(kubeconfig, `--kubeconfig ${kubeconfig}`, options)
  if (server !== undefined) return await ofServer(server, '--server', options)
  if (dir !== undefined) return ofFolder(dir, '--dir', options)
  const [named, config] = [variable('MILLWRIGHT_SERVER'), variable('MILLWRIGHT_KUBECONFIG')]
  if (named !== undefined && config !== undefined)
    throw new Exit(exit.usage, 'MILLWRIGHT_SERVER and MILLWRIGHT_KUBECONFIG both name a factory; unset one of them.')
  if (config !== undefined) return await ofKubeconfig(config, `MILLWRIGHT_KUBECONFIG=${config}`, options)
  if (named !== undefined) return await ofServer(named, 'MILLWRIGHT_SERVER', options)
  return ofFolder(
    undefined,
    variable('MILLWRIGHT_DIR') === undefined ? 'the default folder' : 'MILLWRIGHT_DIR',
    options,
  )
}

async function ofKubeconfig(file: string, how: string, options: Global): Promise<Choice> {
  const { readKubeconfig } = await import('./read-kubeconfig.ts')
  const context = readKubeconfig(file, { context: options.context, token: options.token })
  const { server: url, token } = context
  const named = await authorityFor(url, options.certificateAuthority, '--certificate-authority')
  const trust =
    named === undefined
      ? context.trust
      : { ...context.trust, certificateAuthority: named, insecureSkipTlsVerify: false }
  const { certificateAuthority, insecureSkipTlsVerify } = trust
  // The name in the kubeconfig is that of the API; what the gateway may know of us is its key alone.
  const gateway = { url: variable('MILLWRIGHT_GATEWAY'), trust: { certificateAuthority, insecureSkipTlsVerify } }
  return {
    how: `${how}, context ${context.name}`,
    namespace: options.namespace ?? context.namespace ?? 'default',
    dir: undefined,
    silentMs: silentMsOf(options),
    reach: () => ({ url, token, trust, gateway }),
  }
}

async function ofServer(url: string, how: string, options: Global): Promise<Choice> {
  refuse(options.context, '--context', 'a kubeconfig; name it with --kubeconfig FILE')
  const option = options.certificateAuthority
  // The variable may be there for another factory; what was said for this one has to make sense.
  const inherited = url.startsWith('https:') ? variable('MILLWRIGHT_CERTIFICATE_AUTHORITY') : undefined
  const certificateAuthority =
    option === undefined
      ? await authorityFor(url, inherited, 'MILLWRIGHT_CERTIFICATE_AUTHORITY')
      : await authorityFor(url, option, '--certificate-authority')
  const trust = { certificateAuthority }
  const token = options.token ?? variable('MILLWRIGHT_TOKEN')
  return {
    how,
    namespace: options.namespace ?? 'default',
    dir: undefined,
    silentMs: silentMsOf(options),
    reach: () => ({ url, token, trust, gateway: { url: variable('MILLWRIGHT_GATEWAY'), trust } }),
  }
}

function ofFolder(folder: string | undefined, how: string, options: Global): Choice {
  refuse(options.context, '--context', 'a kubeconfig; name it with --kubeconfig FILE')
  refuse(options.certificateAuthority, '--certificate-authority', '--server or --kubeconfig')
  const dir = factoryDir(folder)
  const namespace = options.namespace ?? 'default'
  return { how, namespace, dir, silentMs: silentMsOf(options), reach: () => reachIn(dir, options.token) }
}

function silentMsOf({ requestTimeout }: Global): number {
  if (requestTimeout === undefined) return silentMsMax
  const read = readDuration(requestTimeout)
  if ('problem' in read) throw new Exit(exit.usage, `--request-timeout: "${requestTimeout}" ${read.problem}.`)
  return read.ms
}

function reachIn(dir: string, given: string | undefined): Reached {
  const connection = readConnection(dir)
  if (connection === undefined && isClosedToUs(dir))
    throw new Exit(
      exit.unreachable,
      `a factory may run in ${dir}, but its files may not be read by this user; ask its owner for a kubeconfig (\`millwright kubeconfig\`).`,
    )
  if (connection === undefined)
    throw new Exit(
      exit.unreachable,
      `No factory runs in ${dir}. Start one with \`millwright up\`, or name another with --dir, --server or --kubeconfig.`,
    )
  const token = given ?? readText(pathsIn(dir).token, `the token of the factory, ${pathsIn(dir).token}`).trim()
  const trust = connection.tls ?? {}
  return { url: connection.url, token, trust, gateway: { url: connection.gatewayUrl, trust } }
}

export function readConnection(dir: string): Connection | undefined {
  try {
    return JSON.parse(readFileSync(pathsIn(dir).connection, 'utf8'))
  } catch {
    return undefined
  }
}

function isClosedToUs(dir: string): boolean {
  try {
    readFileSync(pathsIn(dir).connection)
    return false
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'EACCES' || code === 'EPERM'
  }
}

/** PEM that a file, named by an option or a variable, holds. */
async function authorityFor(server: string, file: string | undefined, named: string): Promise<string | undefined> {
  if (file === undefined) return undefined
  if (!server.startsWith('https:'))
    throw new Exit(exit.usage, `${named}: ${server} speaks no TLS; write https://, or leave the authority out.`)
  const pem = readText(file, `${file} (${named})`)
  const { readCertificate } = await import('../api/pem.ts')
  const read = readCertificate(pem)
  if (typeof read === 'string') throw new Exit(exit.usage, `${named}: ${file} ${read}.`)
  return pem
}

function refuse(value: string | undefined, option: string, goesWith: string): void {
  if (value !== undefined) throw new Exit(exit.usage, `${option} goes with ${goesWith}.`)
}

/** A variable that is set to nothing is not set. */
function variable(name: string): string | undefined {
  return process.env[name] || undefined
}
