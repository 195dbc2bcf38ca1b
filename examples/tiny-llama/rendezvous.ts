import { randomUUID } from 'node:crypto'
import { createServer, connect as open, type Server, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** Where this worker stands, in torchrun's words. */
export interface Place {
  rank: number
  worldSize: number
  masterAddr: string
  masterPort: number
}

/** What each worker says of itself when they meet. */
export interface Note {
  /** Everything that must be the same for all, in one string: sizes, seed, text. */
  run: string
  /** The step that it could resume from; 0 for none. */
  step: number
}

export interface Member extends Note {
  rank: number
  /** Where its door is open for its neighbour in the ring. */
  host: string
  port: number
}

/** All members, by rank, and the word by which they know each other from strangers. */
export interface Meeting {
  members: Member[]
  word: string
}

/** How long workers wait for each other. */
const joinMsMax = 60_000
const lineBytesMax = 1 << 20

/**
 * Meets the others at rank 0, which listens on MASTER_ADDR:MASTER_PORT and tells everybody of everybody. `openDoor` is
 * called once, with the local address that the others can reach, and returns the port.
 * Rejects after a minute, naming who did not come, and when two workers were not started alike.
 */
export async function meet(
  place: Place,
  note: Note,
  openDoor: (host: string) => Promise<number>,
  waitMsMax = joinMsMax,
): Promise<Meeting> {
  const until = Date.now() + waitMsMax
  return place.rank === 0 ? gather(place, note, openDoor, until) : announce(place, note, openDoor, until)
}

type Hello = Note & { rank: number; worldSize: number; port: number }
type Answer = Meeting | { refused: string }

async function gather(
  place: Place,
  note: Note,
  openDoor: (host: string) => Promise<number>,
  until: number,
): Promise<Meeting> {
  const { worldSize, masterAddr, masterPort } = place
  const own: Member = { ...note, rank: 0, host: masterAddr, port: await openDoor(masterAddr) }
  const server = await listenAgain(masterPort, masterAddr, until)
  const met = new Map<number, { member: Member; socket: Socket }>()
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(absent(met, worldSize))), Math.max(0, until - Date.now()))
      server.on('connection', (socket) => {
        socket.on('error', () => {})
        firstLine(socket).then((line) => {
          const hello = helloFrom(line)
          if (hello === undefined) return socket.destroy() // a stranger at the port
          const refused = refusal(hello, own, worldSize)
          if (refused !== undefined) {
            clearTimeout(timer)
            socket.end(`${JSON.stringify({ refused } satisfies Answer)}\n`)
            return reject(new Error(refused))
          }
          const { rank, run, step, port } = hello
          // One that came, died and came again counts once, as what it is now.
          met.set(rank, { member: { rank, run, step, port, host: plain(socket.remoteAddress) }, socket })
          socket.resume() // else its end goes unseen
          socket.once('close', () => met.get(rank)?.socket === socket && met.delete(rank))
          if (met.size < worldSize - 1) return undefined
          clearTimeout(timer)
          return resolve()
        }, ignored)
      })
    })
    const members = [own, ...[...met.values()].map(({ member }) => member).sort((a, b) => a.rank - b.rank)]
    const meeting: Meeting = { members, word: randomUUID() }
    for (const { socket } of met.values()) socket.end(`${JSON.stringify(meeting satisfies Answer)}\n`)
    return meeting
  } catch (error) {
    const refused = error instanceof Error ? error.message : String(error)
    for (const { socket } of met.values()) socket.end(`${JSON.stringify({ refused } satisfies Answer)}\n`)
    throw error
  } finally {
    server.close()
  }
}

async function announce(
  place: Place,
  note: Note,
  openDoor: (host: string) => Promise<number>,
  until: number,
): Promise<Meeting> {
  const { rank, worldSize, masterAddr, masterPort } = place
  let port: number | undefined
  for (;;) {
    const socket = await reach(masterAddr, masterPort, until)
    port ??= await openDoor(plain(socket.localAddress))
    socket.write(`${JSON.stringify({ ...note, rank, worldSize, port } satisfies Hello)}\n`)
    // Rank 0 keeps the time for all; a little longer here, so that its sentence comes through.
    const line = await Promise.race([firstLine(socket).catch(() => undefined), pause(until + 5000 - Date.now(), '')])
    socket.destroy()
    if (line !== undefined && line !== '') {
      const answer = JSON.parse(line) as Answer
      if ('refused' in answer) throw new Error(`rank 0 says: ${answer.refused}`)
      const members = answer.members.map((member) => (member.rank === 0 ? { ...member, host: masterAddr } : member))
      return { ...answer, members }
    }
    if (Date.now() > until) throw new Error(`rank 0 at ${masterAddr}:${masterPort} does not answer`)
    await pause(50) // rank 0 died before all were there; its next incarnation may come
  }
}

function refusal(hello: Hello, own: Member, worldSize: number): string | undefined {
  if (hello.worldSize !== worldSize)
    return `rank ${hello.rank} was started with WORLD_SIZE=${hello.worldSize}, rank 0 with ${worldSize}`
  if (hello.rank < 1 || hello.rank >= worldSize)
    return `a worker came with RANK=${hello.rank}; allowed beside rank 0 are 1 to ${worldSize - 1}`
  if (hello.run !== own.run)
    return `rank ${hello.rank} was started otherwise than rank 0: ${hello.run} against ${own.run}`
  return undefined
}

function absent(met: ReadonlyMap<number, unknown>, worldSize: number): string {
  const missing = Array.from({ length: worldSize }, (_, rank) => rank).filter((rank) => rank > 0 && !met.has(rank))
  return `did not come in time: rank ${missing.join(', ')} of ${worldSize} workers`
}

function helloFrom(line: string): Hello | undefined {
  try {
    const { rank, worldSize, port, run, step } = JSON.parse(line) as Partial<Hello>
    const whole = [rank, worldSize, port, step].every((value) => Number.isInteger(value))
    return whole && typeof run === 'string' ? ({ rank, worldSize, port, run, step } as Hello) : undefined
  } catch {
    return undefined
  }
}

/** Connects, again and again until the other side listens. */
async function reach(host: string, port: number, until: number): Promise<Socket> {
  for (;;) {
    try {
      return await connect(host, port)
    } catch (error) {
      if (Date.now() > until) throw new Error(`nobody answers at ${host}:${port}`, { cause: error })
      await pause(20)
    }
  }
}

export function connect(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = open({ host, port, noDelay: true })
    socket.on('error', reject) // after the connection nobody hears it: 'close' follows
    socket.once('connect', () => resolve(socket))
  })
}

export function listen(port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true })
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })
}

/** The port may still belong to the last incarnation, which is on its way out. */
async function listenAgain(port: number, host: string, until: number): Promise<Server> {
  for (;;) {
    try {
      return await listen(port, host)
    } catch (error) {
      const busy = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (!busy || Date.now() > until) throw error
      await pause(50)
    }
  }
}

/** The bytes before the first newline; rejects when the socket ends without one. Bytes after it are left unread. */
export function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = Buffer.alloc(0)
    const read = () => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      text = Buffer.concat([text, chunk])
      const end = text.indexOf('\n')
      if (end < 0 && text.length < lineBytesMax) return
      socket.off('readable', read)
      if (end < 0) return reject(new Error('no line'))
      if (end + 1 < text.length) socket.unshift(text.subarray(end + 1))
      resolve(text.subarray(0, end).toString('utf8'))
    }
    socket.on('readable', read)
    socket.once('close', () => reject(new Error('closed')))
    read()
  })
}

/** IPv4 seen through an IPv6 socket comes as ::ffff:1.2.3.4. */
const plain = (address: string | undefined) => (address ?? '127.0.0.1').replace(/^::ffff:/, '')
const ignored = () => {}
