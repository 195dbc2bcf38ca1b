import { createInterface } from 'node:readline/promises'
import { type Line, lineTo, type Trust, unreachable } from '../../api/transport.ts'
import { wholeNumber } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { paint } from '../output.ts'

interface ChatOptions {
  maxTokens: string
  temperature: string
  raw?: boolean
  apiKey?: string
}

export async function chat(service: string, prompt: string, options: ChatOptions, global: Global): Promise<void> {
  const { client, namespace, gateway } = await connect(global)
  const found = await client.get('InferenceService', { namespace, name: service })
  if (found === undefined)
    throw new Exit(exit.notFound, `there is no InferenceService "${service}"; \`millwright get isvc\` lists them.`)
  const url = gateway.url ?? found.status?.url
  if (url === undefined)
    throw new Exit(exit.unreachable, 'the gateway is not known; set MILLWRIGHT_GATEWAY to its URL.')
  const key = options.apiKey ?? process.env['MILLWRIGHT_API_KEY']
  const settings = {
    model: service,
    max_tokens: wholeNumber('--max-tokens', options.maxTokens, 1, 1_000_000),
    temperature: temperatureIn(options),
    stream: true,
  }
  const endpoint = endpointIn(url, options.raw === true)
  const line = lineTo(endpoint, await widened(gateway.trust))
  const messages: { role: string; content: string }[] = []
  process.once('SIGINT', interrupt)
  let isAnswering = false
  const ask = async (text: string) => {
    isAnswering = true
    messages.push({ role: 'user', content: text })
    const body = options.raw ? { ...settings, prompt: text } : { ...settings, messages }
    const answer = await stream(endpoint, await line, body, key)
    messages.push({ role: 'assistant', content: answer })
    isAnswering = false
  }
  if (prompt !== '') return await ask(prompt)
  const isTalk = process.stdin.isTTY === true
  const lines = createInterface({
    input: process.stdin,
    ...(isTalk ? { output: process.stderr, prompt: paint.cyan('> ') } : {}),
  })
  let isClosed = false
  lines.once('close', () => {
    isClosed = true
  })
  // Who reads from a terminal gets Ctrl-C as a key, and the process no signal.
  lines.on('SIGINT', () => (isAnswering ? interrupt() : lines.close()))
  if (isTalk) lines.prompt()
  for await (const line of lines) {
    if (line.trim() !== '') await ask(line)
    if (isTalk && !isClosed) lines.prompt()
  }
}

function interrupt(): void {
  process.stdout.write('\n')
  process.exit(exit.interrupted)
}

function temperatureIn({ temperature }: ChatOptions): number {
  if (/^\d+(\.\d+)?$/.test(temperature)) return Number(temperature)
  throw new Exit(exit.usage, `--temperature: found "${temperature}"; allowed are numbers from 0, e.g. 0.6.`)
}

function endpointIn(base: string, raw: boolean): URL {
  if (!/^https?:\/\//.test(base) || !URL.canParse(base))
    throw new Exit(
      exit.usage,
      `the gateway's address "${base}" is not one; write http://NAME:PORT or https://NAME:PORT.`,
    )
  return new URL(`${base.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1/${raw ? 'completions' : 'chat/completions'}`)
}

/** Where the API shows a certificate of one's own, the gateway may show one of the public authorities. */
async function widened(trust: Trust): Promise<Trust> {
  if (trust.certificateAuthority === undefined) return trust
  const { rootCertificates } = await import('node:tls')
  return { ...trust, certificateAuthority: [trust.certificateAuthority, ...rootCertificates].join('\n') }
}

/** Writes the answer as it comes and returns it whole. */
function stream(url: URL, line: Line, body: object, key: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = line.request({
      ...line.options,
      agent: line.agent,
      method: 'POST',
      path: url.pathname,
      headers: {
        ...line.options.headers,
        'content-type': 'application/json',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
    })
    sent.on('error', (error) => reject(unreachable(url, error, 'the gateway')))
    sent.on('response', (response) => {
      let rest = ''
      let whole = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        rest += text
        const lines = rest.split('\n')
        if (response.statusCode === 200) rest = lines.pop() ?? ''
        else return
        try {
          for (const line of lines) {
            const piece = pieceOf(line)
            whole += piece
            process.stdout.write(piece)
          }
        } catch (error) {
          reject(error)
          sent.destroy()
        }
      })
      response.on('aborted', () => reject(new Exit(exit.failed, 'the answer was cut; the replica is gone.')))
      response.on('end', () => {
        if (response.statusCode !== 200)
          return reject(new Exit(exit.failed, messageIn(rest) ?? `the gateway answered ${response.statusCode}`))
        process.stdout.write('\n')
        if (whole === '') console.error(paint.dim('(the model ended at once)'))
        resolve(whole)
      })
    })
    sent.end(JSON.stringify(body))
  })
}

function pieceOf(line: string): string {
  if (!line.startsWith('data: ') || line === 'data: [DONE]') return ''
  const chunk = JSON.parse(line.slice(6)) as {
    error?: { message: string }
    choices?: { delta?: { content?: string }; text?: string }[]
  }
  if (chunk.error) throw new Exit(exit.failed, chunk.error.message)
  return chunk.choices?.[0]?.delta?.content ?? chunk.choices?.[0]?.text ?? ''
}

function messageIn(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message
  } catch {
    return undefined
  }
}
