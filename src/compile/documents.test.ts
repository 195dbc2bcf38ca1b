import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatErrors, readDocuments, type WrittenDocument } from './documents.ts'

const job = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata:
  name: tiny
spec:
  workers: 2
  command: node train.js
`
const queue = (name: string) => `apiVersion: millwright.dev/v1alpha1
kind: Queue
metadata: {name: ${name}}
spec: {}
`

function errorsOf(...texts: string[]): string {
  const read = readDocuments(texts.map((text, i) => ({ name: texts.length === 1 ? 'job.yaml' : `${i}.yaml`, text })))
  return 'errors' in read ? formatErrors(read.errors) : ''
}

function documentsOf(text: string): WrittenDocument[] {
  const read = readDocuments([{ name: 'a.yaml', text }], { namespace: 'research' })
  if ('errors' in read) throw new Error(formatErrors(read.errors))
  return read.documents
}

describe('what is read', () => {
  test('several documents, each where it stands, as written and as admitted', () => {
    const documents = documentsOf(`# two\n---\n${job}---\n---\n${queue('q')}`)
    expect(documents.map(({ file, line, object }) => `${file}:${line} ${object.kind} ${object.metadata.name}`)).toEqual(
      ['a.yaml:3 TrainingJob tiny', 'a.yaml:12 Queue q'],
    )
    expect(documents[0]?.object).toEqual({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'TrainingJob',
      metadata: { name: 'tiny', namespace: 'research' },
      spec: { workers: 2, command: 'node train.js' },
    })
    expect(documents[0]?.admitted.spec).toMatchObject({ maxRestarts: 5 })
    expect(documents[1]?.object.metadata).toEqual({ name: 'q' })
  })

  test('JSON, a List, CRLF and a byte order mark', () => {
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } }
    expect(documentsOf(JSON.stringify(object))[0]?.object).toEqual(object)
    expect(
      documentsOf(
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [object, { ...object, metadata: { name: 'b' } }] }),
      ),
    ).toHaveLength(2)
    expect(documentsOf(`\ufeff${job.replaceAll('\n', '\r\n')}`)[0]?.object.metadata.name).toBe('tiny')
  })

  test('anchors and merge keys: what is written wins over what is merged', () => {
    const [first] = documentsOf(`apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: a, annotations: &more {x: "1", y: "2"}, labels: {<<: *more, y: "3"}}
spec: {command: [echo, &word hi, *word], env: {<<: [{A: 1}, {A: 2, B: 2}]}}
`)
    expect(first?.object.metadata.labels).toEqual({ x: '1', y: '3' })
    expect(first?.object['spec']).toEqual({ command: ['echo', 'hi', 'hi'], env: { A: 1, B: 2 } })
  })
})

describe('what is wrong is said with its place, all at once', () => {
  test('all errors of all documents of all files', () => {
    const wrong = job.replace('workers: 2', 'worker: 2\n  priority: high')
    expect(errorsOf(`${wrong}---\n${job.replace('TrainingJob', 'TrainingJobb')}`, 'a: [1', job)).toBe(
      `0.yaml:6:3: spec.worker: unknown field; did you mean "workers"?
0.yaml:7:13: spec.priority: must be an integer from -1000000000 to 1000000000, found "high"
0.yaml:11:7: kind: is a kind that we do not know, found "TrainingJobb"; did you mean "TrainingJob"?
1.yaml:1:6: is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]
2.yaml:4:9: metadata.name: names a TrainingJob that 0.yaml:4 also describes, found "tiny"`,
    )
  })

  test.each<[string, string, string]>([
    [
      'another kind',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}',
      '2:7: kind: is a kind that we do not know, found "Deployment"; allowed: Pool, Queue,',
    ],
    [
      'a kind in lower case',
      'kind: trainingjob',
      '1:7: kind: is a kind that we do not know, found "trainingjob"; did you mean "TrainingJob"?',
    ],
    [
      'a short name',
      'kind: isvc',
      '1:7: kind: is a kind that we do not know, found "isvc"; did you mean "InferenceService"?',
    ],
    ['a scenario', 'kind: Scenario', '1:7: kind: is played, not applied: `millwright twin run FILE`, found "Scenario"'],
    ['no kind', 'metadata: {name: a}', '1:1: kind: is required and missing; allowed: Pool'],
    ['no version', 'kind: Pod', '1:1: apiVersion: is required and missing; allowed: v1'],
    ['another version', 'apiVersion: v2\nkind: Pod', '1:13: apiVersion: must be "v1" for a Pod, found "v2"'],
    ['a text', 'hello', '1:1: must be a resource: an object with apiVersion, kind, metadata and spec, found "hello"'],
    ['nothing', '# nothing\n', '1:1: holds no resource'],
    ['a tab', 'a:\n\tb: 1', '2:1: is indented with a tab; YAML wants spaces'],
    ['a second colon', 'a: b: c', '1:4: has a second ": " on one line; put the value in quotes'],
    ['an open quote', 'a: "x', '1:6: is not YAML: Missing closing "quote'],
    ['a tag', 'a: !foo 1', '1:4: is not YAML: Unresolved tag: !foo'],
    ['a key twice', `${job}  workers: 3\n`, '8:3: spec.workers: is written twice here'],
    ['a prototype', 'a: 1\n__proto__: {x: 1}', '2:1: __proto__: is not allowed as a key'],
    ['a constructor', '{"constructor": {"prototype": 1}}', '1:2: constructor: is not allowed as a key'],
    ['a list as a key', '? [a]\n: 1', '1:3: must have a text as its key'],
    ['NaN', job.replace('2', '.nan'), '6:12: spec.workers: must be a finite number, found .nan'],
    ['infinity', job.replace('2', '-.inf'), '6:12: spec.workers: must be a finite number, found -.inf'],
    ['too large a number', job.replace('2', '1e999'), '6:12: spec.workers: must be a finite number, found 1e999'],
    ['an alias to nothing', 'a: *b', '1:4: a: refers to *b, which is not defined before it'],
    ['an alias to itself', 'a: &b [*b]', '1:8: a[0]: refers to *b, which it is a part of'],
    ['a merge of a text', 'a: {<<: b}', '1:9: a: must merge an object, or a list of objects'],
    [
      'a missing field',
      job.replace('  name: tiny\n', '  labels: {}\n'),
      '3:1: metadata.name: is required and missing; allowed: string',
    ],
    [
      'a field behind an alias',
      job.replace('node train.js', 'x\n  env: &e {1A: x}'),
      '8:12: spec.env["1A"]: is not a good name',
    ],
    [
      'an item of a List',
      `kind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: A}\n  spec: {containers: [{name: a}]}`,
      '5:20: metadata.name: must be lower-case',
    ],
    ['a date', '%YAML 1.1\n---\na: 2020-01-01', '3:4: a: has a tag that has no place in JSON; write plain text'],
  ])('%s', (_, text, error) => expect(errorsOf(text)).toContain(`job.yaml:${error}`))

  test('a terminal escape in a file cannot drive the terminal', () => {
    const text = errorsOf(`kind: "\\e[31mred"\n"\\e[2J": 1\n---\n\u001b[0m: @`, job.replace('tiny', '"\\e]0;x\\a"'))
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  })

  test('more errors than anybody reads are counted', () => {
    const many = Array.from({ length: 300 }, (_, i) => `---\n{kind: X${i}}`).join('\n')
    expect(errorsOf(many).split('\n')).toHaveLength(201)
    expect(errorsOf(many)).toMatch(/… and 100 more$/)
  })
})

describe('hostile files', () => {
  const laughs = (levels: number) =>
    Array.from({ length: levels }, (_, i) =>
      i === 0 ? 'a0: &a0 [x,x,x,x,x,x,x,x,x,x]' : `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}*a${i - 1}]`,
    ).join('\n')

  test.each<[string, string, RegExp]>([
    ['a billion laughs', laughs(9), /has more than (200000 values, aliases expanded|1000 aliases)/],
    ['many aliases', `a: &a x\nb: [${'*a,'.repeat(2000)}]`, /has more than 1000 aliases/],
    ['flow lists', '['.repeat(1_000_000), /is nested deeper than 64 levels/],
    ['flow maps', '{a: '.repeat(200_000), /is nested deeper than 64 levels/],
    ['lists in lists', `${'- '.repeat(5_000)}x`, /is nested deeper than 64 levels/],
    ['keys of keys', '? '.repeat(5_000), /is nested deeper than 64 levels/],
    [
      'indentation',
      Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      /is nested deeper than 64 levels/,
    ],
    ['size', 'x'.repeat(5_000_000), /is larger than 4 MiB/],
    ['documents', '---\n'.repeat(100_000), /has more than 1000 documents/],
    ['values', `[${'1,'.repeat(210_000)}]`, /has more than 200000 values/],
    ['fields', job + '  x: 1\n'.repeat(20_000), /spec.x: is written twice here/],
    [
      'unknown fields',
      job + Array.from({ length: 20_000 }, (_, i) => `  x${i}: 1\n`).join(''),
      /spec.x0: unknown field; allowed: queue/,
    ],
    ['commas', `[${','.repeat(1_000_000)}`, /has more than 200000 values/],
  ])('%s', (_, text, error) => expect(errorsOf(text)).toMatch(error))

  test('no text makes it throw, and every error has a place in the text', () => {
    const words = [
      'kind: ',
      'Pod',
      'TrainingJob',
      'apiVersion: ',
      'v1',
      'spec:',
      '\n',
      '  ',
      '- ',
      '? ',
      ': ',
      '&a ',
      '*a',
      '<<: ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '|\n',
      '>\n',
      '!t ',
      '---\n',
      '...\n',
      '%YAML 1.1\n',
      '#',
      '\t',
      '.nan',
      '~',
      'metadata: {name: a}\n',
      '\u0000',
      '\ud800',
      'items: ',
      'List',
    ]
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join('')),
      fc.json(),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const read = readDocuments([{ name: 'f', text }])
        if (!('errors' in read)) return
        const lines = text.split('\n').length
        for (const error of read.errors) {
          expect(error.line).toBeGreaterThanOrEqual(1)
          expect(error.line).toBeLessThanOrEqual(lines + 1)
          expect(error.column).toBeGreaterThanOrEqual(1)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('what JSON can say is read as JSON reads it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 3 })), (annotations) => {
        const text = JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 's' },
          extra: annotations,
        })
        if (/__proto__|"constructor"|"prototype"/.test(text)) return
        expect(documentsOf(text)[0]?.object['extra']).toEqual(JSON.parse(JSON.stringify(annotations)))
      }),
    )
  })
})
