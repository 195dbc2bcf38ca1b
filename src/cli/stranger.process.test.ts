import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { loopbackIdentity } from '../api/certificate.ts'
import { TestFactory } from './factory.fixture.ts'

let factory = new TestFactory()
beforeEach(async () => {
  factory = new TestFactory()
  await factory.up()
})
afterEach(() => factory.remove())

it.each([
  ['HTTP', createHttpServer],
  ['TLS', (hear: Parameters<typeof createHttpServer>[1]) => createHttpsServer(loopbackIdentity('of another'), hear)],
] as const)('who speaks %s at the port of a factory that was killed is not told its token', async (_, create) => {
  await factory.crash()
  const heard: IncomingHttpHeaders[] = []
  const server = create((request, response) => {
    heard.push(request.headers)
    response.end('{"kind":"List","metadata":{},"items":[]}')
  })
  await new Promise<void>((listens) => server.listen(0, '127.0.0.1', listens))
  const file = join(factory.home, 'factory.json')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), url }))
  const asked = factory.begin('get', 'jobs')
  expect(await asked.ended).toBe(4)
  expect(asked.stderr).toContain(`who answers at ${url} does not hold the token of the factory in ${factory.home}`)
  expect(heard).toEqual([])
  server.close()
})
