import { Reader } from 'ltm-live';
import type { Agent } from '../../../agent';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ url: { searchParams } }) => {
  const [id, url] = [searchParams.get('id') ?? '1', searchParams.get('url') ?? 'http://localhost:8000'];
  const reader = new Reader(url);
  const [initial, list] = await Promise.all([reader.document<Agent>(id), reader.list({ limit: 20 })]);
  return { id, url, initial, list };
};
