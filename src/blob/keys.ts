import { OperatingError } from '../base/errors.ts'

/** A key that leads nowhere but into the store: relative, no `..`, no empty or hidden part, no control character. */
export function assertKey(key: string): string {
  if (key.length > 1024 || !key.split('/').every((part) => segment.test(part)))
    throw new OperatingError(
      'invalid',
      'give-up',
      `blob key ${JSON.stringify(key.slice(0, 200))} must be a relative path of letters, digits and "._=@+-", no part starting with "."`,
    )
  return key
}

const segment = /^[A-Za-z0-9_=@+-][A-Za-z0-9._=@+-]{0,254}$/

export function contentKey(sha256: string): string {
  if (!digest.test(sha256))
    throw new OperatingError('invalid', 'give-up', `${JSON.stringify(sha256)} is not a sha256 digest`)
  return `sha256/${sha256}`
}

/** The digest that a content key names; undefined for any other key. */
export function contentOf(key: string): string | undefined {
  if (!key.startsWith('sha256/')) return undefined
  const name = key.slice('sha256/'.length)
  if (!digest.test(name))
    throw new OperatingError('invalid', 'give-up', `blob key ${key} does not end in a sha256 digest`)
  return name
}

const digest = /^[0-9a-f]{64}$/
