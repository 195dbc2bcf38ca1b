import { request } from 'node:http'
import { createInterface } from 'node:readline/promises'
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
  const { client, gatewayUrl } = connect(global)
  const found = await client.get('InferenceService', { namespace: global.namespace, name: service })
  if (found === undefined)
    throw new Exit(exit.notFound, `there is no InferenceService "${service}"; \`millwright get isvc\` lists them.`)
  const url = gatewayUrl ?? found.status?.url
  if (url === undefined)
    throw new Exit(exit.unreachable, 'the gateway is not known; set MILLWRIGHT_GATEWAY to its URL.')
  const key = options.apiKey ?? process.env['MILLWRIGHT_API_KEY']
  const settings = {
    model: service,
    max_tokens: wholeNumber('--max-tokens', options.maxTokens, 1, 1_000_000),
    temperature: Number(options.temperature),
    stream: true,
  }
  const messages: { role: string; content: string }[] = []
  const ask = async (text: string) => {
    messages.push({ role: 'user', content: text })
    const body = options.raw ? { ...settings, prompt: text } : { ...settings, messages }
    const answer = await stream(
      `${url.replace(/\/v1\/?$/, '')}/v1/${options.raw ? 'completions' : 'chat/completions'}`,
      body,
      key,
    )
    messages.push({ role: 'assistant', content: answer })
  }
  if (prompt !== '') return await ask(prompt)
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: paint.cyan('> ') })
  lines.prompt()
  for await (const line of lines) {
    if (line.trim() !== '') await ask(line)
    lines.prompt()
  }
}

/** Writes the answer as it comes and returns it whole. */
function stream(url: string, body: object, key: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let rest = ''
      let whole = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        rest += text
        const lines = rest.split('\n')
        if (response.statusCode === 200) rest = lines.pop() ?? ''
        else return
        for (const line of lines) {
          const piece = pieceOf(line)
          whole += piece
          process.stdout.write(piece)
        }
      })
      response.on('aborted', () => reject(new Exit(exit.failed, 'the answer was cut; the replica is gone.')))
      response.on('end', () => {
        if (response.statusCode !== 200)
          return reject(new Exit(exit.failed, messageIn(rest) ?? `the gateway answered ${response.statusCode}`))
        process.stdout.write('\n')
        resolve(whole)
      })
    })
    process.once('SIGINT', () => {
      sent.destroy()
      process.stdout.write('\n')
      process.exit(exit.interrupted)
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
