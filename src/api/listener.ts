import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type RequestListener,
  type ServerOptions,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net'
import type { Identity } from './certificate.ts'

/** First byte of a TLS handshake record; no HTTP method begins with it. */
const handshake = 0x16
/** A connection that says nothing for so long is closed; so is one whose headers or body take longer. */
const firstByteMsMax = 10_000
const tlsSettings = { minVersion: 'TLSv1.2' } as const
const limits: ServerOptions = { requestTimeout: 30_000, headersTimeout: 15_000, keepAliveTimeout: 75_000 }

export interface Listener {
  /** Speaks HTTP to whoever handles requests, whatever the connection speaks. */
  http: HttpServer
  front: NetServer
  /** For handshakes from now on; connections that stand go on. */
  renew(identity: Identity): void
  closeConnections(): void
}

/** One port that speaks HTTPS and, where `plain` allows it, HTTP too: the first byte of a connection tells them apart. */
export function createListener(handle: RequestListener, identity: Identity, plain: boolean): Listener {
  const http = createHttpServer(limits, handle)
  const https = createHttpsServer({ ...limits, ...identity, ...tlsSettings, handshakeTimeout: firstByteMsMax }, handle)
  const sockets = new Set<Socket>()
  const front = createNetServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.once('error', () => socket.destroy()) // a client that went away is no news
    sort(socket, (first) => (first === handshake ? https : plain ? http : undefined))
  })
  // Neither listens itself, but both start to watch over slow requests only once they are told that they do.
  front.once('listening', () => {
    http.emit('listening')
    https.emit('listening')
  })
  return {
    http,
    front,
    renew: (renewed) => https.setSecureContext({ ...renewed, ...tlsSettings }),
    closeConnections: () => {
      http.closeAllConnections()
      https.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Hands the connection over with its bytes unread. */
function sort(socket: Socket, serverFor: (firstByte: number) => NetServer | undefined): void {
  const slow = () => socket.destroy()
  socket.setTimeout(firstByteMsMax, slow)
  socket.once('data', (chunk: Buffer) => {
    socket.setTimeout(0)
    socket.off('timeout', slow)
    const server = serverFor(chunk[0] ?? 0)
    if (server === undefined) return void socket.destroy()
    socket.pause()
    socket.unshift(chunk)
    server.emit('connection', socket)
    process.nextTick(() => socket.resume())
  })
}
