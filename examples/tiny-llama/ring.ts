import type { Server, Socket } from 'node:net'
import { connect, firstLine, listen, type Member, meet, type Note, type Place } from './rendezvous.ts'

/** The workers in a circle, each linked to the next over TCP. */
export interface Ring {
  members: readonly Member[]
  /** Replaces `vector` by the sum over all workers. Every worker ends with the same bits. */
  sum(vector: Float32Array): Promise<void>
  /** Replaces `bytes` by those of rank `from`. */
  share(bytes: Uint8Array, from: number): Promise<void>
  /** Resolves once a neighbour has gone without a farewell; `sum` and `share` reject then. */
  gone: Promise<PeerGone>
  /** Says farewell; what was sent before still arrives. */
  close(): Promise<void>
}

export class PeerGone extends Error {
  readonly rank: number
  constructor(rank: number) {
    super(`peer rank ${rank} went away; this worker cannot go on alone`)
    this.rank = rank
  }
}

/** Rejects when the others do not come in time, or were started otherwise. */
export async function joinRing(place: Place, note: Note, waitMsMax?: number): Promise<Ring> {
  const { rank, worldSize } = place
  if (worldSize === 1) return alone(note)
  const door = new Door()
  try {
    const { members, word } = await meet(place, note, (host) => door.open(host), waitMsMax)
    const next = members[neighbour(rank + 1, worldSize)]
    if (next === undefined) throw new Error('the ring has a gap')
    // Its door was open before it came to the meeting: if it is closed now, the worker is dead.
    const ahead = await connect(next.host, next.port).catch(() => Promise.reject(new PeerGone(next.rank)))
    ahead.write(`${word} ${rank}\n`)
    const behind = neighbour(rank - 1, worldSize)
    const aheadGone = new Promise<never>((_, reject) => ahead.once('close', () => reject(new PeerGone(next.rank))))
    aheadGone.catch(() => {}) // later on the ring watches it
    const caller = await Promise.race([door.admit(`${word} ${behind}`, new PeerGone(behind)), aheadGone])
    return ringOf(members, rank, ahead, caller)
  } finally {
    door.close()
  }
}

function alone(note: Note): Ring {
  const members = [{ ...note, rank: 0, host: '', port: 0 }]
  return { members, sum: async () => {}, share: async () => {}, gone: new Promise(() => {}), close: async () => {} }
}

function ringOf(members: readonly Member[], rank: number, next: Socket, previous: Socket): Ring {
  const worldSize = members.length
  let closing = false
  let report: (gone: PeerGone) => void = () => {}
  const gone = new Promise<PeerGone>((resolve) => {
    report = resolve
  })
  const lost = (from: number) => {
    if (closing) return
    const error = new PeerGone(neighbour(from, worldSize))
    reader.fail(error)
    report(error)
  }
  const reader = new Reader(previous, () => lost(rank - 1))
  new Reader(next, () => lost(rank + 1)) // says nothing but farewell
  return {
    members,
    gone,
    sum: (vector) => sum(vector, rank, worldSize, next, reader),
    share: async (bytes, from) => {
      if (rank !== from) bytes.set(await reader.read(bytes.length))
      if (neighbour(rank + 1, worldSize) !== from) send(next, bytes)
    },
    close: async () => {
      closing = true
      await Promise.all([leave(next), leave(previous)])
    },
  }
}

/** Reduce-scatter, then all-gather: each part is summed at one place in one order, then handed around. */
async function sum(
  vector: Float32Array,
  rank: number,
  worldSize: number,
  next: Socket,
  previous: Reader,
): Promise<void> {
  const bound = (part: number) => Math.floor((vector.length * part) / worldSize)
  const part = (index: number) => {
    const at = neighbour(index, worldSize)
    return vector.subarray(bound(at), bound(at + 1))
  }
  for (let turn = 0; turn < worldSize - 1; turn++) {
    send(next, part(rank - turn))
    const mine = part(rank - turn - 1)
    const other = await receive(previous, mine.length)
    for (let i = 0; i < mine.length; i++) mine[i] = (mine[i] ?? 0) + (other[i] ?? 0)
  }
  for (let turn = 0; turn < worldSize - 1; turn++) {
    send(next, part(rank + 1 - turn))
    const mine = part(rank - turn)
    mine.set(await receive(previous, mine.length))
  }
}

const neighbour = (rank: number, worldSize: number) => ((rank % worldSize) + worldSize) % worldSize

async function receive(previous: Reader, count: number): Promise<Float32Array> {
  return new Float32Array(new Uint8Array(await previous.read(count * 4)).buffer)
}

/** On the wire: a length (u32, little-endian) and so many bytes; this length is the farewell. */
const farewell = 0xffffffff

/** A copy goes out: the caller's vector changes while the socket still holds it. */
function send(socket: Socket, part: Uint8Array | Float32Array): void {
  const frame = Buffer.alloc(4 + part.byteLength)
  frame.writeUInt32LE(part.byteLength)
  frame.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), 4)
  socket.write(frame)
}

/**
 * Everybody leaves at the same step, so each waits for the others' farewell: a socket that is closed with bytes still
 * unread is reset, and a reset can overtake the last bytes that we sent.
 */
async function leave(socket: Socket): Promise<void> {
  const header = Buffer.alloc(4)
  header.writeUInt32LE(farewell)
  if (socket.destroyed) return
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.end(header)
  const timer = setTimeout(() => socket.destroy(), 2000)
  await closed
  clearTimeout(timer)
}

/** Whole frames from a socket. Calls `onLost` when it closes without a farewell. */
class Reader {
  private chunks: Buffer[] = []
  private size = 0
  private needed = 4
  private readonly frames: Buffer[] = []
  private waiting: { bytes: number; resolve(bytes: Buffer): void; reject(error: Error): void } | undefined
  private failure: Error | undefined

  constructor(socket: Socket, onLost: () => void) {
    let saidFarewell = false
    socket.on('data', (chunk) => {
      this.chunks.push(chunk)
      this.size += chunk.length
      if (this.size >= this.needed) saidFarewell = this.cut() || saidFarewell
    })
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => saidFarewell || onLost())
    socket.resume() // a first line may have been read from it, which pauses it
  }

  /** The next frame, which must have this length. */
  read(bytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.waiting = { bytes, resolve, reject }
      this.deliver()
    })
  }

  fail(error: Error): void {
    this.failure = error
    this.deliver()
  }

  /** Whether the farewell came. */
  private cut(): boolean {
    let all = Buffer.concat(this.chunks)
    let saidFarewell = false
    while (all.length >= 4) {
      const length = all.readUInt32LE()
      if (length === farewell) saidFarewell = true
      this.needed = 4 + (length === farewell ? 0 : length)
      if (all.length < this.needed) break
      if (length !== farewell) this.frames.push(all.subarray(4, this.needed))
      all = all.subarray(this.needed)
      this.needed = 4
    }
    this.chunks = all.length > 0 ? [all] : []
    this.size = all.length
    this.deliver()
    return saidFarewell
  }

  private deliver(): void {
    const waiting = this.waiting
    if (waiting === undefined) return
    const frame = this.frames.shift()
    if (frame === undefined && this.failure === undefined) return
    this.waiting = undefined
    if (frame === undefined) waiting.reject(this.failure ?? new Error('closed'))
    else if (frame.length === waiting.bytes) waiting.resolve(frame)
    else waiting.reject(new Error(`a neighbour sent ${frame.length} bytes where ${waiting.bytes} were due`))
  }
}

/** All know of all by now, and call each other at once. */
const callMsMax = 15_000

/** Lets the previous worker in, and nobody else. Callers may come before it is known who that is. */
class Door {
  private server: Server | undefined
  private readonly callers = new Map<string, Socket>()
  private came: () => void = () => {}

  async open(host: string): Promise<number> {
    this.server = await listen(0, host)
    this.server.on('connection', (socket) => {
      socket.on('error', () => {})
      firstLine(socket).then(
        (line) => {
          this.callers.set(line, socket)
          this.came()
        },
        () => {},
      )
    })
    const address = this.server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  admit(greeting: string, absent: Error): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(absent), callMsMax)
      this.came = () => {
        const caller = this.callers.get(greeting)
        if (caller === undefined) return
        clearTimeout(timer)
        this.callers.delete(greeting)
        resolve(caller)
      }
      this.came()
    })
  }

  close(): void {
    this.server?.close()
    for (const stranger of this.callers.values()) stranger.destroy()
  }
}
