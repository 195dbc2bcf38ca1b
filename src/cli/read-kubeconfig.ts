import { dirname, resolve } from 'node:path'
import { identityProblem, readCertificate } from '../api/pem.ts'
import type { Trust } from '../api/transport.ts'
import { readTrees, type Tree } from '../compile/yaml-tree.ts'
import { pathText, printable, shown } from '../model/field-error.ts'
import { nearest } from '../model/nearest.ts'
import { Exit, exit } from './exit.ts'
import { readText } from './read-text.ts'

export interface KubeContext {
  name: string
  server: string
  token: string | undefined
  namespace: string | undefined
  trust: Trust
}

export interface KubeconfigRequest {
  /** Left out: the file's current-context. */
  context?: string | undefined
  /** Stands in for the user's credentials, which are not looked at then. */
  token?: string | undefined
}

/**
 * One context of a kubeconfig, as kubectl reads it: `-data` before the file of the same name, paths from the folder of
 * the kubeconfig. What we cannot do as it says (programs that make credentials, impersonation, proxies) is refused by
 * name. Errors say file, line and field and show no value that could be a secret.
 */
export function readKubeconfig(file: string, request: KubeconfigRequest = {}): KubeContext {
  const config = open(file)
  const name = request.context ?? config.text([], 'current-context')
  if (name === undefined)
    return config.fail(['current-context'], `is not set; name one with --context${listOf(config.names('contexts'))}`)
  const context = config.entry('contexts', name, request.context === undefined ? ['current-context'] : [])
  const cluster = config.entry('clusters', config.required(context, 'cluster'), [...context, 'cluster'])
  return {
    name,
    server: serverIn(config, cluster),
    namespace: config.text(context, 'namespace') || undefined,
    ...credentialsIn(config, context, request.token, trustIn(config, cluster)),
  }
}

type Steps = readonly (string | number)[]

function serverIn(config: Kubeconfig, cluster: Steps): string {
  const server = config.required(cluster, 'server')
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    return config.fail(
      [...cluster, 'server'],
      'must be an address such as https://NAME:PORT, without credentials in it',
    )
  if (config.text(cluster, 'proxy-url') !== undefined)
    return config.fail([...cluster, 'proxy-url'], 'is not followed: millwright connects directly')
  return server
}

function trustIn(config: Kubeconfig, cluster: Steps): Trust {
  const authority = config.pem(cluster, 'certificate-authority')
  const insecure = config.flag(cluster, 'insecure-skip-tls-verify')
  if (authority !== undefined) {
    const read = readCertificate(authority.text)
    if (typeof read === 'string') return config.fail(authority.at, read)
    if (insecure)
      return config.fail([...cluster, 'insecure-skip-tls-verify'], 'contradicts the certificate-authority beside it')
  }
  return {
    certificateAuthority: authority?.text,
    serverName: config.text(cluster, 'tls-server-name') || undefined,
    insecureSkipTlsVerify: insecure,
  }
}

function credentialsIn(
  config: Kubeconfig,
  context: Steps,
  given: string | undefined,
  trust: Trust,
): { token: string | undefined; trust: Trust } {
  if (given !== undefined) return { token: given, trust }
  const user = config.entry('users', config.required(context, 'user'), [...context, 'user'])
  for (const [field, why] of refusedOfUsers)
    if (config.has(user, field)) return config.fail([...user, field], `${why}; ${instead}`)
  const token = tokenIn(config, user)
  const clientCertificate = clientCertificateIn(config, user)
  if (token === undefined && clientCertificate === undefined)
    return config.fail(user, `holds no credentials; ${instead}`)
  return { token, trust: { ...trust, clientCertificate } }
}

const instead = 'use a user with a token or a client certificate, or give --token'

/** With any of these left out of account we would be somebody else than the file says, or nobody. */
const refusedOfUsers: readonly (readonly [string, string])[] = [
  ['exec', 'gets its credentials by running a program, which millwright does not do'],
  ['auth-provider', 'gets its credentials from a provider, which millwright does not do'],
  ['username', 'is a user with a password, which the API does not take'],
  ['password', 'is a user with a password, which the API does not take'],
  ...['as', 'as-uid', 'as-groups', 'as-user-extra'].map(
    (field) => [field, 'acts as somebody else, which millwright does not do'] as const,
  ),
]

function tokenIn(config: Kubeconfig, user: Steps): string | undefined {
  const file = config.text(user, 'tokenFile') || undefined
  const token = file === undefined ? config.text(user, 'token') : config.file([...user, 'tokenFile'], file).trim()
  if (token === undefined || (token === '' && file === undefined)) return undefined
  const at = [...user, file === undefined ? 'token' : 'tokenFile']
  return /^[\x21-\x7e]+$/.test(token)
    ? token
    : config.fail(at, 'is no token: it has to be one word of ASCII characters')
}

function clientCertificateIn(config: Kubeconfig, user: Steps): Trust['clientCertificate'] {
  const cert = config.pem(user, 'client-certificate')
  const key = config.pem(user, 'client-key')
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined) return config.fail([...user, 'client-certificate'], 'is missing beside the client-key')
  if (key === undefined) return config.fail([...user, 'client-key'], 'is missing beside the client-certificate')
  const wrong = identityProblem({ cert: cert.text, key: key.text })
  if (wrong !== undefined) return config.fail(wrong.of === 'cert' ? cert.at : key.at, wrong.problem)
  return { cert: cert.text, key: key.text }
}

function open(file: string): Kubeconfig {
  const { trees, errors } = readTrees(readText(file, `the kubeconfig ${file}`))
  const [broken] = errors
  if (broken !== undefined) {
    // The parser's words can quote the text, and the text holds secrets.
    throw new Exit(exit.usage, `${file}:${broken.line}:${broken.column}: the kubeconfig cannot be read as YAML there.`)
  }
  const [tree, more] = trees
  if (tree === undefined) throw new Exit(exit.usage, `${file}: the kubeconfig is empty.`)
  if (more !== undefined)
    throw new Exit(exit.usage, `${file}:${more.start.line}: a kubeconfig is one document; this is a second one.`)
  const config = new Kubeconfig(file, tree)
  const kind = config.text([], 'kind')
  if (kind !== undefined && kind !== 'Config') config.fail(['kind'], `must be Config, found ${shown(kind)}`)
  return config
}

const kindOfEntry = { contexts: 'context', clusters: 'cluster', users: 'user' } as const
type List = keyof typeof kindOfEntry

class Kubeconfig {
  readonly #file: string
  readonly #tree: Tree

  constructor(file: string, tree: Tree) {
    this.#file = file
    this.#tree = tree
  }

  fail(at: Steps, problem: string): never {
    throw new Exit(exit.usage, `${this.#placeOf(at)} ${problem}.`)
  }

  has(at: Steps, field: string): boolean {
    const value = this.#at([...at, field])
    return value !== undefined && value !== null && value !== ''
  }

  text(at: Steps, field: string): string | undefined {
    const value = this.#at([...at, field])
    if (value === undefined || value === null) return undefined
    return typeof value === 'string' ? value : this.fail([...at, field], 'must be a text; put it in quotes')
  }

  required(at: Steps, field: string): string {
    return this.text(at, field) || this.fail([...at, field], 'is required and missing')
  }

  flag(at: Steps, field: string): boolean {
    const value = this.#at([...at, field]) ?? false
    return typeof value === 'boolean' ? value : this.fail([...at, field], 'must be true or false')
  }

  /** The text of `FIELD-data`, else of the file that `FIELD` names. */
  pem(at: Steps, field: string): { text: string; at: Steps } | undefined {
    const data = this.text(at, `${field}-data`)
    if (data) {
      const dataAt = [...at, `${field}-data`]
      if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(data)) return this.fail(dataAt, 'must be base64')
      return { text: Buffer.from(data, 'base64').toString('utf8'), at: dataAt }
    }
    const path = this.text(at, field)
    return path ? { text: this.file([...at, field], path), at: [...at, field] } : undefined
  }

  file(at: Steps, path: string): string {
    const { line } = this.#tree.positionOf(at, 'value')
    const whole = resolve(dirname(this.#file), path)
    return readText(whole, `${whole} (${pathText(at)} at ${this.#file}:${line})`)
  }

  names(list: List): string[] {
    return this.#entries(list).flatMap((entry) => (isObject(entry) ? textsOf(entry['name']) : []))
  }

  /** Where the body of the entry called `name` is; `namedAt` is the field that names it, if one does. */
  entry(list: List, name: string, namedAt: Steps): Steps {
    const kind = kindOfEntry[list]
    const index = this.#entries(list).findIndex((entry) => isObject(entry) && entry['name'] === name)
    if (index < 0) {
      const names = this.names(list)
      const near = nearest(name, names)
      const hint = near === undefined ? `${listOf(names)}.` : `; did you mean ${printable(near)}?`
      const missing = `has no ${kind} ${printable(name)}${hint}`
      if (namedAt.length === 0) throw new Exit(exit.usage, `--context: ${this.#file} ${missing}`)
      throw new Exit(exit.usage, `${this.#placeOf(namedAt)}: the file ${missing}`)
    }
    const at = [list, index, kind]
    return isObject(this.#at(at)) ? at : this.fail(at, 'must be an object')
  }

  #placeOf(at: Steps): string {
    const { line, column } = this.#tree.positionOf(at, 'value')
    return `${this.#file}:${line}:${column}: ${pathText(at)}`
  }

  #entries(list: List): unknown[] {
    const entries = this.#at([list]) ?? []
    return Array.isArray(entries) ? entries : this.fail([list], 'must be a list')
  }

  #at(steps: Steps): unknown {
    let value: unknown = this.#tree.value
    for (const step of steps) {
      if (Array.isArray(value) && typeof step === 'number') value = value[step]
      else value = isObject(value) && typeof step === 'string' && Object.hasOwn(value, step) ? value[step] : undefined
    }
    return value
  }
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? '' : ` (there is ${names.slice(0, 10).map(printable).join(', ')})`
}

function textsOf(value: unknown): string[] {
  return typeof value === 'string' ? [value] : []
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
