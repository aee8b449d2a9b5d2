"""What a station's telemetry says of its supply curve (R9, domain.md "Tuning"): pure, from hourly columns to an advice and a prediction.

hours of a station ─▶ station_hours: what counts ─┬─▶ advice: shift, slope, hours of the day, or not the curve
                                                  ├─▶ building_model: fitted on stored data, with its uncertainty
                                                  │       └─▶ prediction: rooms and heat under another curve
                                                  └─▶ comparison: before and after, by degree days
"""
