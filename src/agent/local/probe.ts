import { spawn } from 'node:child_process'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import type { ProbeRun } from '../contract.ts'
import { signalGroup } from './process.ts'

/** One look at a pod; undefined: healthy, else what was wrong. */
export function probe(run: ProbeRun): Promise<string | undefined> {
  const { httpGet, tcpSocket, exec } = run.probe
  if (exec !== undefined) return probeCommand(run, exec.command)
  if (run.port === undefined) return Promise.resolve('the probe names a port that the pod does not have')
  if (httpGet !== undefined) return probeHttp(run, httpGet.path, run.port)
  if (tcpSocket !== undefined) return probeTcp(run, run.port)
  return Promise.resolve(undefined)
}

/** Connections are kept: a look every second should not cost a handshake. */
const agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 64 })

/** The time counts from when it has the connection until the body is whole: whoever holds it lets go by then. */
function probeHttp(run: ProbeRun, path: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const whole = encoded(path.startsWith('/') ? path : `/${path}`)
    const call = request({ host: run.host, port, path: whole, agent }, (response) => {
      response.resume()
      const status = response.statusCode ?? 0
      resolve(status >= 200 && status < 400 ? undefined : `GET ${path} on port ${port} answered ${status}`)
    })
    let timer: NodeJS.Timeout | undefined
    call.once('socket', () => {
      timer = setTimeout(() => call.destroy(new Error(`no answer within ${run.timeoutMs} ms`)), run.timeoutMs)
    })
    call.once('close', () => clearTimeout(timer))
    call.on('error', (error) => resolve(`GET ${path}: ${failure(run.host, port, error)}`))
    call.end()
  })
}

/** What is encoded already stays. */
function encoded(path: string): string {
  return path.replace(/[^!-~]+/g, encodeURIComponent)
}

function probeTcp(run: ProbeRun, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: run.host, port, timeout: run.timeoutMs })
    const done = (problem?: string): void => {
      socket.destroy()
      resolve(problem)
    }
    socket.once('connect', () => done())
    socket.once('timeout', () => done(`connection to ${run.host}:${port} was not accepted within ${run.timeoutMs} ms`))
    socket.once('error', (error) => done(failure(run.host, port, error)))
  })
}

/** What a person calls it. */
function failure(host: string, port: number, { code = '', message }: NodeJS.ErrnoException): string {
  const what = words[code]
  return what === undefined ? `${host}:${port}: ${message}` : `connection to ${host}:${port} ${what}`
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'was refused',
  ECONNRESET: 'was cut before there was an answer',
  EPIPE: 'was cut before there was an answer',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'found no way there',
  ENETUNREACH: 'found no way there',
  ENOTFOUND: 'is to a name that nobody knows',
}

/** In a group of its own, so that what is too late ends with all that it started. */
function probeCommand(run: ProbeRun, command: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const [program = '', ...args] = [...(run.through ?? []), ...command]
    const startedMs = performance.now()
    const child = spawn(program, args, { env: run.env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    const done = (problem?: string): void => {
      clearTimeout(timer)
      resolve(problem === undefined ? undefined : `${command[0]}: ${problem}`)
    }
    const timer = setTimeout(() => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
      child.stderr?.destroy()
      done('took too long')
    }, run.timeoutMs)
    child.once('error', ({ message }) => done(message))
    // With no descriptor left there is none, whatever its type says.
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-saidMax)
    })
    child.once('close', (code, signal) => {
      if (code === 0) return done()
      // Where it is ended inside a container, that may come first.
      const isLate = performance.now() - startedMs >= run.timeoutMs
      done(isLate ? 'took too long' : commandFailure(code, signal, said))
    })
  })
}

const saidMax = 65_536

function commandFailure(code: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  const what = code === null ? `ended by ${signal}` : `exit code ${code}`
  const said = stderr.trim().split('\n').at(-1) ?? ''
  return said === '' ? what : `${what}: ${said}`
}
