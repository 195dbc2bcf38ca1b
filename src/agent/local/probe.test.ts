import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { Probe } from '../../model/kinds/kubernetes.ts'
import { isRunning } from '../fixture.ts'
import { probe } from './probe.ts'

const host = '127.0.0.1'
const look = (port: number, how: Probe) => probe({ uid: 'u', probe: how, port, host, timeoutMs: 100, env: {} })
const get: Probe = { httpGet: { path: '/health', port: 1 } }
const open: Probe = { tcpSocket: { port: 1 } }

test('what is wrong with a connection is said in words', async () => {
  const server = createServer((request) => void (request.url === '/cut' && request.socket.destroy()))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  expect(await look(port, open)).toBeUndefined()
  expect(await look(port, get)).toBe(`GET /health: ${host}:${port}: no answer within 100 ms`)
  const cut: Probe = { httpGet: { path: '/cut', port: 1 } }
  expect(await look(port, cut)).toBe(`GET /cut: connection to ${host}:${port} was cut before there was an answer`)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  expect(await look(port, open)).toBe(`connection to ${host}:${port} was refused`)
  expect(await look(port, get)).toBe(`GET /health: connection to ${host}:${port} was refused`)
})

test('of a command its exit code and last words, or that it took too long', async () => {
  const run = (script: string, timeoutMs = 20_000) =>
    probe({ uid: 'u', probe: { exec: { command: ['sh', '-c', script] } }, port: undefined, host, timeoutMs, env: {} })
  expect(await run('true')).toBeUndefined()
  expect(await run('exit 3')).toBe('sh: exit code 3')
  expect(await run('echo one >&2; echo no model >&2; exit 4')).toBe('sh: exit code 4: no model')
  expect(await run('kill -9 $$')).toBe('sh: ended by SIGKILL')
  expect(await run('while :; do :; done', 50)).toBe('sh: took too long')
})

test('of a command that takes too long nothing stays behind', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'probe-'))
  const script = `echo $$ >${dir}/it; sleep 600 & echo $! >${dir}/its; sleep 600 | cat`
  const exec = { command: ['sh', '-c', script] }
  expect(await probe({ uid: 'u', probe: { exec }, port: undefined, host, timeoutMs: 1000, env: {} })).toBe(
    'sh: took too long',
  )
  for (const name of ['it', 'its']) {
    const pid = Number(await readFile(join(dir, name), 'utf8'))
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false))
  }
  await rm(dir, { recursive: true })
})

test('a path may be written as people write it', async () => {
  const asked: (string | undefined)[] = []
  const server = createServer(({ url }, response) => {
    asked.push(url)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  for (const path of ['/health check', 'größe/模型?q=a%20b'])
    expect(await look(port, { httpGet: { path, port: 1 } })).toBeUndefined()
  expect(asked).toEqual(['/health%20check', '/gr%C3%B6%C3%9Fe/%E6%A8%A1%E5%9E%8B?q=a%20b'])
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test.each([
  ['goes on and on', (response: ServerResponse) => void response.write('.'), undefined],
  ['never quite begins', (response: ServerResponse) => response.writeProcessing(), 'no answer within 100 ms'],
])('an answer that %s does not keep the next look waiting', async (_, go, problem) => {
  const beats: NodeJS.Timeout[] = []
  const server = createServer((_, response) => {
    go(response)
    beats.push(setInterval(() => go(response), 20))
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  const says = problem === undefined ? undefined : `GET /health: ${host}:${port}: ${problem}`
  for (let looks = 0; looks < 3; looks++) expect(await look(port, get)).toBe(says)
  for (const beat of beats) clearInterval(beat)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
