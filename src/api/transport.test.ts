import { createServer as createPlainServer, type RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { createAuthority } from './certificate.fixture.ts'
import { nodeTransport, type Trust, type WireRequest } from './transport.ts'

const authority = createAuthority()
const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

describe('TLS to a server', () => {
  it('is trusted when the given authority signed its certificate, or when it is the given certificate', async () => {
    const identity = authority.issue(['127.0.0.1'])
    const port = await serve(identity)
    for (const certificateAuthority of [authority.cert, identity.cert, `${identity.cert}${authority.cert}`])
      expect(await ask(port, { certificateAuthority })).toMatchObject({ host: `127.0.0.1:${port}` })
  })

  it('is refused, with what to do, when somebody else signed it', async () => {
    const port = await serve(authority.issue(['127.0.0.1']))
    for (const certificateAuthority of [createAuthority('another').cert, undefined])
      await expect(ask(port, { certificateAuthority })).rejects.toThrow(
        /^cannot reach the factory at https:.*signed by nobody that is trusted here.*--certificate-authority FILE/,
      )
  })

  it('is refused when the certificate is for another name, or over', async () => {
    const other = await serve(authority.issue(['factory.example', '10.0.0.5']))
    await expect(ask(other, { certificateAuthority: authority.cert })).rejects.toThrow("does not match certificate's")
    const old = await serve(authority.issue(['127.0.0.1'], '20250201000000Z'))
    await expect(ask(old, { certificateAuthority: authority.cert })).rejects.toThrow('certificate has expired')
  })

  it('goes to another address, for the name of the URL or the one that is asked for', async () => {
    const port = await serve(authority.issue(['factory.example', '10.0.0.5']))
    const trust = { certificateAuthority: authority.cert, address: '127.0.0.1' }
    for (const name of ['factory.example', '10.0.0.5'])
      expect(await ask(port, trust, name)).toMatchObject({ host: `${name}:${port}` })
    expect(await ask(port, trust, 'factory.example')).toMatchObject({ servername: 'factory.example' })
    await expect(ask(port, trust, 'another.example')).rejects.toThrow("does not match certificate's")
    const named = { certificateAuthority: authority.cert, serverName: 'factory.example' }
    expect(await ask(port, named)).toMatchObject({ host: `127.0.0.1:${port}`, servername: 'factory.example' })
  })

  it('is not looked at when told so', async () => {
    const port = await serve(createAuthority().issue(['another.example']))
    expect(await ask(port, { insecureSkipTlsVerify: true })).toMatchObject({ host: `127.0.0.1:${port}` })
  })

  it('shows our certificate where we have one', async () => {
    const port = await serve({ ...authority.issue(['127.0.0.1']), requestCert: true, rejectUnauthorized: false })
    const clientCertificate = authority.issue(['a client'])
    const trust = { certificateAuthority: authority.cert }
    expect(await ask(port, { ...trust, clientCertificate })).toMatchObject({ client: 'a server' })
    expect(await ask(port, trust)).not.toHaveProperty('client')
  })

  it('wants an address, not a name and a port', () => {
    for (const server of ['localhost:7070', 'ftp://factory', 'factory', ''])
      expect(() => nodeTransport(server)).toThrow('is not an address; write http://127.0.0.1:PORT')
  })
})

describe('a server that takes connections and says nothing', () => {
  const silentMs = 50
  async function send(answer: RequestListener, hurry: WireRequest['hurry']) {
    const server = createPlainServer(answer)
    closing.push(() => {
      server.close()
      server.closeAllConnections()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const transport = nodeTransport(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {}, silentMs)
    closing.push(() => transport.close())
    return await transport.send({ method: 'GET', path: '/', headers: {}, hurry })
  }
  const said = /^the factory at http:\/\/127.0.0.1:[0-9]+ took the connection but said nothing for 0.05 s; look at/

  it('is not waited for, by a watch neither', async () => {
    for (const hurry of ['answer', 'head'] as const) {
      const failure = send(() => {}, hurry)
      await expect(failure).rejects.toThrow(said)
      await expect(failure).rejects.toMatchObject({ code: 'unreachable' })
    }
  })

  it('nor is one that stops in the middle of its answer', async () => {
    const { body } = await send((_, response) => void response.write('['), 'answer')
    const read = async () => {
      for await (const part of body) expect(String(part)).toBe('[')
    }
    await expect(read()).rejects.toThrow(said)
  })

  it('may be silent once a watch has begun, and before a log has', async () => {
    const inWatch = await send((_, response) => void response.flushHeaders(), 'head')
    const later: RequestListener = (_, response) => void setTimeout(() => response.end('late'), 3 * silentMs)
    expect((await send(later, 'never')).status).toBe(200)
    const parts = inWatch.body[Symbol.asyncIterator]()
    const first = await Promise.race([parts.next(), send(later, 'never')])
    expect(first).toHaveProperty('status')
  })
})

/** Answers with what it knows of the client. */
async function serve(options: ServerOptions): Promise<number> {
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket
    response.end(
      JSON.stringify({
        host: request.headers.host,
        servername: socket.servername,
        client: socket.getPeerCertificate().subject?.CN,
      }),
    )
  })
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function ask(port: number, trust: Trust, name = '127.0.0.1'): Promise<unknown> {
  const transport = nodeTransport(`https://${name}:${port}`, trust)
  closing.push(() => transport.close())
  const { body } = await transport.send({ method: 'GET', path: '/', headers: {} })
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString())
}
