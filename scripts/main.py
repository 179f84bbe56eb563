"""`pidkd train` from a checkout, the main job."""

import door

if __name__ == '__main__':
  door.enter('train')
