import { createServer, connect as open, type Server, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** Sums vectors over all workers. Every worker ends with the same bits. */
export interface Ring {
  /** Replaces `vector` by the sum over all workers. Rejects when a peer has gone. */
  sum(vector: Float32Array): Promise<void>
  close(): void
}

export interface Place {
  rank: number
  worldSize: number
  masterAddr: string
  masterPort: number
}

const joinMsMax = 60_000

/** Meets the others at rank 0 (torchrun's MASTER_ADDR and MASTER_PORT), then links each worker to the next one. */
export async function joinRing({ rank, worldSize, masterAddr, masterPort }: Place): Promise<Ring> {
  if (worldSize === 1) return { sum: async () => {}, close: () => {} }
  const door = await listen(0)
  const fromPrevious = accept(door)
  const ports =
    rank === 0
      ? await gather(masterPort, worldSize, portOf(door))
      : await announce(masterAddr, masterPort, rank, portOf(door))
  const next = await reach(masterAddr, ports[(rank + 1) % worldSize] ?? 0)
  const previous = new Reader(await fromPrevious)
  door.close()
  return {
    sum: (vector) => reduce(vector, rank, worldSize, next, previous),
    close: () => {
      previous.close()
      next.destroy()
    },
  }
}

/** Reduce-scatter, then all-gather: each part is summed at one place in one order, then handed around. */
async function reduce(
  vector: Float32Array,
  rank: number,
  worldSize: number,
  next: Socket,
  previous: Reader,
): Promise<void> {
  const bound = (part: number) => Math.floor((vector.length * part) / worldSize)
  const part = (index: number) => {
    const at = ((index % worldSize) + worldSize) % worldSize
    return vector.subarray(bound(at), bound(at + 1))
  }
  for (let turn = 0; turn < worldSize - 1; turn++) {
    send(next, part(rank - turn))
    const mine = part(rank - turn - 1)
    const other = await previous.floats(mine.length)
    for (let i = 0; i < mine.length; i++) mine[i] = (mine[i] ?? 0) + (other[i] ?? 0)
  }
  for (let turn = 0; turn < worldSize - 1; turn++) {
    send(next, part(rank + 1 - turn))
    const mine = part(rank - turn)
    mine.set(await previous.floats(mine.length))
  }
}

/** A copy goes out: the vector changes while the socket still holds it. */
function send(socket: Socket, floats: Float32Array): void {
  socket.write(Buffer.from(floats.slice().buffer))
}

/** Exactly so many bytes at a time, from a socket; rejects once the other side has gone. */
class Reader {
  private readonly socket: Socket
  private chunks: Buffer[] = []
  private size = 0
  private wanted = 0
  private resolve: ((bytes: Buffer) => void) | undefined
  private reject: ((error: Error) => void) | undefined
  private gone = false
  private closing = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.chunks.push(chunk)
      this.size += chunk.length
      this.deliver()
    })
    const lost = () => {
      this.gone = true
      if (!this.closing) this.reject?.(new PeerGone())
    }
    socket.on('close', lost)
    socket.on('error', lost)
  }

  async floats(count: number): Promise<Float32Array> {
    const bytes = await this.read(count * 4)
    const copy = new Uint8Array(bytes)
    return new Float32Array(copy.buffer, 0, count)
  }

  close(): void {
    this.closing = true
    this.socket.destroy()
  }

  private read(bytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.wanted = bytes
      this.resolve = resolve
      this.reject = reject
      this.deliver()
      if (this.gone && this.resolve !== undefined) reject(new PeerGone())
    })
  }

  private deliver(): void {
    if (this.resolve === undefined || this.size < this.wanted) return
    const all = Buffer.concat(this.chunks)
    const { resolve } = this
    this.chunks = [all.subarray(this.wanted)]
    this.size = all.length - this.wanted
    this.resolve = undefined
    this.reject = undefined
    resolve(all.subarray(0, this.wanted))
  }
}

export class PeerGone extends Error {
  override message = 'a peer went away; this worker cannot go on alone'
}

function listen(port: number, host?: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true })
    server.once('error', reject)
    server.listen(port, host ?? '127.0.0.1', () => resolve(server))
  })
}

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function accept(server: Server): Promise<Socket> {
  return new Promise((resolve) => server.once('connection', resolve))
}

/** Rank 0 learns everybody's port and tells them all. */
async function gather(port: number, worldSize: number, own: number): Promise<number[]> {
  const server = await listen(port)
  const ports = [own]
  const sockets: Socket[] = []
  await new Promise<void>((resolve) => {
    let met = 1
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.once('data', (text) => {
        const { rank, port: at } = JSON.parse(text.toString('utf8')) as { rank: number; port: number }
        ports[rank] = at
        sockets.push(socket)
        met += 1
        if (met === worldSize) resolve()
      })
    })
  })
  for (const socket of sockets) socket.end(JSON.stringify(ports))
  server.close()
  return ports
}

async function announce(host: string, port: number, rank: number, own: number): Promise<number[]> {
  const socket = await reach(host, port)
  socket.write(JSON.stringify({ rank, port: own }))
  let text = ''
  for await (const chunk of socket) text += chunk.toString('utf8')
  if (text === '') throw new PeerGone()
  return JSON.parse(text)
}

/** Connects, again and again until the other side listens. */
async function reach(host: string, port: number): Promise<Socket> {
  const until = Date.now() + joinMsMax
  for (;;) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = open({ host, port, noDelay: true })
        socket.once('connect', () => {
          socket.on('error', () => {})
          resolve(socket)
        })
        socket.once('error', reject)
      })
    } catch (error) {
      if (Date.now() > until) throw new Error(`nobody answers at ${host}:${port}`, { cause: error })
      await pause(20)
    }
  }
}
